variable "channels" {
  description = "Notification channels: those that lead to roll_back, and those of people."
  type = object({
    roll_back = list(string)
    people    = list(string)
  })
  nullable = false
}

variable "target" {
  description = "One target of one policy, with the checks and the machine that the policy gives it."
  type = object({
    model    = string
    project  = string
    region   = string
    endpoint = string
    green    = optional(string, "") # the second of two endpoints, of which clients ask one
    arms     = optional(string, "") # a pattern of the endpoints of a sticky experiment's arms
    machine  = any
    checks   = any
  })
  nullable = false
}

variable "window" {
  description = "Seconds that a limit must be broken for, and that values are gathered over; minutes, as Monitoring has it."
  type        = number
  default     = 120
  nullable    = false

  validation {
    condition     = var.window >= 60 && var.window % 60 == 0
    error_message = "window is ${var.window}; it is whole minutes, in seconds."
  }
}
