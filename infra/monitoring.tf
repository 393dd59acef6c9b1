# Who is told of what: channels, alert policies, log-based metrics, the dashboard, the budget.

locals {
  metrics = yamldecode(file("${path.module}/metrics.yaml"))
  # A PromQL alert is not refused while its metric has never been written; `or vector(0)` lets absence be a number.
  ticks = "(sum(increase(logging_googleapis_com:user_rollouts_ticks[${var.alerting.silence}])) or vector(0)) < 1"

  people             = concat([for channel in google_monitoring_notification_channel.email : channel.id], var.alerting.channels)
  does_budget_freeze = var.budget.freeze_at != null
  to_roll_back       = local.has_webhook ? google_monitoring_notification_channel.webhook[*].id : google_monitoring_notification_channel.pubsub[*].id
}

resource "google_monitoring_notification_channel" "pubsub" {
  count        = local.has_webhook ? 0 : 1
  project      = var.project.id
  type         = "pubsub"
  display_name = "Vertex Rollouts: roll_back"
  labels       = { topic = google_pubsub_topic.this["alert-fired"].id }
}

# Monitoring makes its account with the first channel to a topic; before that there is nobody to grant anything to.
resource "google_pubsub_topic_iam_member" "monitoring" {
  count      = local.has_webhook ? 0 : 1
  project    = var.project.id
  topic      = google_pubsub_topic.this["alert-fired"].name
  role       = "roles/pubsub.publisher"
  member     = "serviceAccount:service-${local.number}@gcp-sa-monitoring-notification.iam.gserviceaccount.com"
  depends_on = [google_monitoring_notification_channel.pubsub]
}

# As a password, not as ?auth_token=: addresses are logged.
resource "google_monitoring_notification_channel" "webhook" {
  count        = local.has_webhook ? 1 : 0
  project      = var.project.id
  type         = "webhook_basicauth"
  display_name = "Vertex Rollouts: receive_alert"
  labels = {
    url      = module.function["receive_alert"].uri
    username = "monitoring"
  }
  sensitive_labels {
    password_wo         = var.alert_token
    password_wo_version = tostring(var.secrets_version)
  }
}

resource "google_monitoring_notification_channel" "email" {
  for_each     = toset(var.alerting.emails)
  project      = var.project.id
  type         = "email"
  display_name = each.value
  labels       = { email_address = each.value }
}

module "model_alerts" {
  for_each = local.targets
  source   = "./modules/model_alerts"
  target   = each.value
  # A channel belongs to one project; models of others are told of there by what the analysis finds.
  channels = {
    roll_back = each.value.project == var.project.id ? local.to_roll_back : []
    people    = each.value.project == var.project.id ? local.people : []
  }
}

resource "google_monitoring_alert_policy" "heartbeat" {
  project               = var.project.id
  display_name          = "assess_rollouts: no heartbeat"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = local.people

  conditions {
    display_name = "no tick has ended for ${var.alerting.silence}"
    condition_prometheus_query_language {
      query                     = local.ticks
      duration                  = "120s"
      evaluation_interval       = "60s"
      disable_metric_validation = true
    }
  }
  alert_strategy {
    auto_close = "86400s"
  }
  documentation {
    subject = "Rollouts stand still: no heartbeat"
    content = "Nothing advances and no check is judged; incidents of Monitoring still roll back. See heartbeat in docs/runbook.md."
  }
  depends_on = [google_logging_metric.this]
}

resource "google_monitoring_alert_policy" "failures" {
  project               = var.project.id
  display_name          = "functions: errors"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = local.people

  conditions {
    display_name = "a function has logged an error"
    condition_prometheus_query_language {
      query                     = "sum by (function) (increase(logging_googleapis_com:user_rollouts_failures[300s])) > 0"
      duration                  = "0s"
      evaluation_interval       = "60s"
      disable_metric_validation = true
    }
  }
  alert_strategy {
    auto_close = "3600s"
  }
  documentation {
    subject = "A function has logged an error"
    content = "Its words are in docs/runbook.md. See function-errors there."
  }
  depends_on = [google_logging_metric.this]
}

resource "google_logging_metric" "this" {
  for_each    = local.metrics
  project     = var.project.id
  name        = each.key
  description = each.value.about
  filter = join(" AND ", concat(
    ["resource.type=\"cloud_run_revision\"", "resource.labels.service_name=~\"^(${join("|", [for name in keys(local.table) : replace(name, "_", "-")])})$\""],
    # A number has no text to hold against an expression: where any value will do, it has to be there.
    [for field, pattern in try(each.value.fields, {}) : pattern == ".+" ? "jsonPayload.${field}:*" : "jsonPayload.${field}=~\"${pattern}\""],
    try(["severity>=${each.value.severity}"], []),
  ))
  label_extractors = {
    for label, field in try(each.value.labels, {}) : label => label == "function" ? "EXTRACT(labels.function)" : "EXTRACT(jsonPayload.${field})"
  }
  value_extractor = try("EXTRACT(jsonPayload.${each.value.value})", null)

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = can(each.value.value) ? "DISTRIBUTION" : "INT64"
    unit        = try(each.value.unit, "1")
    dynamic "labels" {
      for_each = try(each.value.labels, {})
      content {
        key        = labels.key
        value_type = "STRING"
      }
    }
  }
  dynamic "bucket_options" {
    for_each = can(each.value.value) ? [1] : []
    content {
      exponential_buckets {
        num_finite_buckets = 24
        growth_factor      = 2
        scale              = 0.5
      }
    }
  }
  depends_on = [google_project_service.this]
}

resource "google_monitoring_dashboard" "this" {
  project        = var.project.id
  dashboard_json = jsonencode(yamldecode(file("${path.module}/dashboard.yaml")))
  depends_on     = [google_logging_metric.this]
}

data "google_project" "target" {
  for_each   = local.target_projects
  project_id = each.value
}

resource "google_billing_budget" "this" {
  count           = var.budget.billing_account == "" ? 0 : 1
  billing_account = var.budget.billing_account
  display_name    = "Vertex Rollouts (${var.project.id})"

  budget_filter {
    projects = [for project in data.google_project.target : "projects/${project.number}"]
    services = ["services/C7E2-9256-1C43"] # Vertex AI
  }
  amount {
    specified_amount {
      units = tostring(var.budget.monthly)
    }
  }
  dynamic "threshold_rules" {
    for_each = var.budget.warn_at
    content {
      threshold_percent = threshold_rules.value # a share: 1.0 is all of it
    }
  }
  dynamic "all_updates_rule" {
    for_each = length(local.people) > 0 || local.does_budget_freeze ? [1] : [] # otherwise the owners of the billing account are told
    content {
      monitoring_notification_channels = slice(local.people, 0, min(5, length(local.people)))
      disable_default_iam_recipients   = length(local.people) > 0
      pubsub_topic                     = local.does_budget_freeze ? google_pubsub_topic.this["budget-notified"].id : null
      schema_version                   = "1.0"
    }
  }
  depends_on = [google_pubsub_topic_iam_member.billing]
}

# The one account that Cloud Billing publishes all its notifications as.
resource "google_pubsub_topic_iam_member" "billing" {
  count   = local.does_budget_freeze ? 1 : 0
  project = var.project.id
  topic   = google_pubsub_topic.this["budget-notified"].name
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:billing-budget-alert@system.gserviceaccount.com"
}
