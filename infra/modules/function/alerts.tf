# The two ways in which a subscription says that its function is in trouble. Both metrics are Pub/Sub's own and exist before any message.

locals {
  of_subscription = local.is_pushed ? "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${google_pubsub_subscription.push[0].name}\"" : ""
}

resource "google_monitoring_alert_policy" "dead_letters" {
  count                 = local.is_pushed ? 1 : 0
  project               = var.place.project
  display_name          = "${var.function.name}: dead letters"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = var.notification_channels

  conditions {
    display_name = "a message was given up"
    condition_threshold {
      filter                  = "metric.type = \"pubsub.googleapis.com/subscription/dead_letter_message_count\" AND ${local.of_subscription}"
      comparison              = "COMPARISON_GT"
      threshold_value         = 0
      duration                = "0s"
      evaluation_missing_data = "EVALUATION_MISSING_DATA_INACTIVE"
      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }
  alert_strategy {
    auto_close = "86400s"
  }
  documentation {
    subject = "${var.function.name} has given up a message"
    content = "After ${var.function.attempts} attempts. Read the reason with `rollouts dead-letters list`, mend it, redrive. See dead-letters in docs/runbook.md."
  }
}

resource "google_monitoring_alert_policy" "backlog" {
  count                 = local.is_pushed ? 1 : 0
  project               = var.place.project
  display_name          = "${var.function.name}: messages wait"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = var.notification_channels

  conditions {
    display_name = "the oldest message has waited for over 30 minutes"
    condition_threshold {
      filter                  = "metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND ${local.of_subscription}"
      comparison              = "COMPARISON_GT"
      threshold_value         = 1800
      duration                = "300s"
      evaluation_missing_data = "EVALUATION_MISSING_DATA_INACTIVE"
      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_MAX"
        cross_series_reducer = "REDUCE_MAX"
      }
    }
  }
  alert_strategy {
    auto_close = "86400s"
  }
  documentation {
    subject = "${var.function.name} does not get through its messages"
    content = "Look at the function's log for `will try again`. See backlog in docs/runbook.md."
  }
}
