variable "project" {
  description = "The project and region that the functions run in. Targets may be in other projects and regions; their policies say so."
  type = object({
    id     = string
    region = optional(string, "us-central1")
    prefix = optional(string, "vr") # of service accounts
  })
  nullable = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project.id))
    error_message = "project.id is ${var.project.id}; give the id of the project (6 to 30 of a-z, 0-9 and -), not its number or name."
  }
  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,4}$", var.project.prefix))
    error_message = "project.prefix is ${var.project.prefix}; it has 2 to 5 of a-z and 0-9, the first a letter, since an account's id has 30 characters at most."
  }
}

variable "delivery" {
  description = "What is delivered: the folder with the policies, the zips of `make package`, the accounts and buckets that models need."
  type = object({
    policies         = optional(string, "policies")           # as given to `rollouts apply`; relative to this folder
    zips             = optional(string, "../build/functions") # likewise
    serving_accounts = optional(list(string), [])             # e-mail addresses that policies name as service_account
    artifact_buckets = optional(list(string), [])             # where models lie that register_model uploads
    export_buckets   = optional(list(string), [])             # where policies export versions for edge devices
    gate_buckets     = optional(list(string), [])             # where policies have fixed sets, and the answers to them
    publishers       = optional(list(string), [])             # members that may announce training runs and quality
  })
  default  = {}
  nullable = false
}

variable "alerting" {
  description = "How alerts reach roll_back (pubsub, or webhook where Monitoring may not publish) and whom they reach besides."
  type = object({
    by       = optional(string, "pubsub")
    emails   = optional(list(string), [])
    channels = optional(list(string), []) # notification channels that exist already, by full name
    silence  = optional(string, "600s")   # without a tick for so long somebody is told
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["pubsub", "webhook"], var.alerting.by)
    error_message = "alerting.by is ${var.alerting.by}; it is pubsub or webhook."
  }
  validation {
    condition     = can(regex("^[1-9][0-9]*s$", var.alerting.silence)) && tonumber(trimsuffix(var.alerting.silence, "s")) >= 120
    error_message = "alerting.silence is ${var.alerting.silence}; it is at least 120s, written in seconds: a tick is due every 60."
  }
}

variable "store" {
  description = "The Firestore database. A protected one survives `terraform destroy`."
  type = object({
    database = optional(string, "(default)")
    location = optional(string, "nam5")
    protect  = optional(bool, true)
    backups  = optional(string, "1209600s") # how long a daily backup is kept; at most 14 weeks
  })
  default  = {}
  nullable = false
}

variable "operators" {
  description = "Who may command a rollout whose policy names no operators: e-mail addresses as in an ID token."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for email in var.operators : can(regex("^[^@:, ]+@[^@:, ]+$", email))])
    error_message = "operators holds plain e-mail addresses, such as ann@example.com: an ID token names no group."
  }
}

variable "clients" {
  description = "Who asks endpoints of blue-green targets or sticky experiments, and so reads which one it is, such as serviceAccount:shop@example.iam.gserviceaccount.com."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for member in var.clients : can(regex("^(user|group|domain|serviceAccount):.+", member))])
    error_message = "clients has a member without a kind; write serviceAccount:NAME@PROJECT.iam.gserviceaccount.com or group:ml@example.com."
  }
}

variable "page" {
  description = "Who may open the status page, such as group:ml@example.com; and its address, for the links in messages."
  type        = object({ people = optional(list(string), []), url = optional(string, "") })
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for member in var.page.people : can(regex("^(user|group|domain|serviceAccount):.+", member))])
    error_message = "page.people has a member without a kind; write user:ann@example.com, group:ml@example.com or domain:example.com."
  }
}

variable "budget" {
  description = "A budget of Cloud Billing over all projects with targets; without an account none is made."
  type = object({
    billing_account = optional(string, "")
    monthly         = optional(number, 0) # in the account's currency
    warn_at         = optional(list(number), [0.5, 0.9, 1.0])
    freeze_at       = optional(number) # the threshold that stops new rollouts; without it none does
  })
  default  = {}
  nullable = false

  validation {
    condition     = (var.budget.billing_account == "") == (var.budget.monthly == 0)
    error_message = "A budget has both, billing_account and monthly."
  }
  validation {
    condition     = alltrue([for share in var.budget.warn_at : share > 0 && share <= 2])
    error_message = "budget.warn_at holds shares: 0.5 is 50 %."
  }
  validation {
    condition     = var.budget.freeze_at == null || contains(var.budget.warn_at, coalesce(var.budget.freeze_at, 0))
    error_message = "budget.freeze_at is one of budget.warn_at: Cloud Billing says only which of these was passed."
  }
}

variable "costs" {
  description = "The audit of costs: who hears of it, regions besides those of policies, and the table of the billing export."
  type = object({
    fleet_channels = optional(list(string), []) # of notify_channels, such as slack://ops
    audit_regions  = optional(list(string), []) # in the project of the functions
    billing_export = optional(string, "")       # PROJECT.DATASET.TABLE, the export itself or a view of it
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.costs.billing_export == "" || can(regex("^[a-z0-9-]+[.][A-Za-z0-9_]+[.][A-Za-z0-9_-]+$", var.costs.billing_export))
    error_message = "costs.billing_export is ${var.costs.billing_export}; write PROJECT.DATASET.TABLE."
  }
}

variable "notify_channels" {
  description = "Where people are told, by the name that policies use: {url, secret} for webhook://, {token, channel} or {url} for slack://, {url} for gchat://. Never kept in the state."
  type = map(object({
    url     = optional(string)
    secret  = optional(string)
    token   = optional(string)
    channel = optional(string)
    api     = optional(string)
  }))
  default   = {}
  sensitive = true
  nullable  = false
}

variable "alert_token" {
  description = "The password of the webhook; needed with alerting.by = webhook. Never kept in the state."
  type        = string
  default     = ""
  sensitive   = true
  nullable    = false

  validation {
    condition     = var.alerting.by != "webhook" || length(var.alert_token) >= 16
    error_message = "alerting.by = webhook needs an alert_token of at least 16 characters, such as `openssl rand -hex 24` prints."
  }
}

variable "secrets_version" {
  description = "Raise it to write notify_channels and alert_token anew."
  type        = number
  default     = 1
  nullable    = false
}

variable "endpoints" {
  description = "Endpoints that Terraform is to own, by the number that each gets as its id. A policy makes its own when missing, which is simpler."
  type = map(object({
    region       = string
    display_name = string
    dedicated    = optional(bool, true)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for number, _ in var.endpoints : can(regex("^[1-9][0-9]{0,9}$", number))])
    error_message = "An endpoint made by Terraform has a number of 1 to 10 digits as its id."
  }
}
