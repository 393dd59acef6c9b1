variable "dedicated" {
  description = "A dedicated endpoint has a DNS name of its own and no neighbours."
  type        = bool
  default     = true
}

variable "display_name" {
  description = "Its name for people."
  type        = string
}

variable "number" {
  description = "Its id, 1 to 10 digits."
  type        = string
}

variable "project" {
  description = "The project that it is in."
  type        = string
}

variable "region" {
  description = "The region that it is in."
  type        = string
}
