variable "build" {
  description = "Where the function comes from: its zip, the bucket it is put into, the runtime, and who builds it."
  type = object({
    zip             = string
    bucket          = string
    runtime         = optional(string, "python312")
    service_account = string
  })
  nullable = false

  validation {
    condition     = fileexists(var.build.zip)
    error_message = "${var.build.zip} does not exist; run `make package` first."
  }
}

variable "environment" {
  description = "Environment variables besides those that every function has."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "function" {
  description = "A row of functions.yaml, with its defaults filled in."
  type = object({
    name        = string
    does        = string
    wakes_on    = string
    callers     = optional(string, "nobody")
    attempts    = optional(number, 5)
    backoff     = optional(string, "600s")
    permissions = optional(list(string), [])
    store       = optional(bool, true)
    reports     = optional(bool, false)
    live        = optional(string, "")
    publishes   = optional(list(string), ["dead-letters"])
    secrets     = optional(map(string), {})
    memory      = optional(string, "512Mi")
    timeout     = optional(number, 540)
    instances   = optional(number, 10)
    warm        = optional(number, 0)
  })
  nullable = false

  validation {
    condition     = var.function.timeout >= 10 && var.function.timeout <= 540
    error_message = "timeout is ${var.function.timeout}; an event function has 10 to 540 seconds, as the acknowledgement deadline (at most 600) must exceed it."
  }
  validation {
    condition     = var.function.attempts >= 5 && var.function.attempts <= 100
    error_message = "attempts is ${var.function.attempts}; Pub/Sub allows 5 to 100."
  }
  validation {
    condition     = contains(["", "read", "write"], var.function.live)
    error_message = "live is ${var.function.live}; it is read, write or left out."
  }
  validation {
    condition     = contains(["nobody", "anyone", "iap"], var.function.callers)
    error_message = "callers is ${var.function.callers}; it is anyone (the function authenticates by itself) or iap."
  }
  validation {
    condition     = (var.function.wakes_on == "https") == (var.function.callers != "nobody")
    error_message = "A function with wakes_on: https says who calls it (callers: anyone or iap), and no other does."
  }
  validation {
    condition     = var.function.instances >= 1 && var.function.warm <= var.function.instances
    error_message = "instances must be at least 1 and at least warm."
  }
}

variable "live_bucket" {
  description = "The bucket whose objects say which endpoint of two is live, for functions that read or write it."
  type        = string
  nullable    = false
}

variable "notification_channels" {
  description = "Who is told of dead letters and of messages that wait too long."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "place" {
  description = "Where the function runs."
  type = object({
    project = string
    number  = string
    region  = string
    prefix  = optional(string, "vr")
  })
  nullable = false
}

variable "people" {
  description = "Who may open a page behind IAP, such as group:ml@example.com."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "store" {
  description = "The Firestore database of the records, and the custom role that reads and writes it."
  type = object({
    database = string
    role     = string
  })
  nullable = false
}

variable "reports_bucket" {
  description = "The bucket of the reports, for functions that write some."
  type        = string
  nullable    = false
}

variable "secrets" {
  description = "The secrets that there are: name to the id of the secret and its version."
  type        = map(object({ id = string, version = string }))
  default     = {}
  nullable    = false
}

variable "target_projects" {
  description = "The projects whose models it delivers, by a fixed name: a custom role and a binding are made in each."
  type        = set(string)
  nullable    = false
}

variable "topics" {
  description = "The topics that there are: name to full id."
  type        = map(string)
  nullable    = false
}
