# How the function is woken, and what becomes of a message that it cannot take.

locals {
  # Longer than the function may take, or Pub/Sub delivers while it still works.
  ack_deadline = min(600, var.function.timeout + 60)
  pubsub_agent = "serviceAccount:service-${var.place.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_pubsub_subscription" "push" {
  count                      = local.is_pushed ? 1 : 0
  project                    = var.place.project
  name                       = local.service
  topic                      = var.topics[var.function.wakes_on]
  filter                     = var.function.wakes_on == "schedule" ? "attributes.job = \"${var.function.name}\"" : null
  ack_deadline_seconds       = local.ack_deadline
  message_retention_duration = "604800s"

  expiration_policy {
    ttl = "" # a subscription that nothing happens on for a month is still needed
  }
  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = var.function.backoff
  }
  dead_letter_policy {
    dead_letter_topic     = var.topics["dead-letters"]
    max_delivery_attempts = var.function.attempts
  }
  push_config {
    # The topic in the path is what the Functions Framework makes the source of the CloudEvent.
    push_endpoint = "${local.uri}/${var.topics[var.function.wakes_on]}"
    oidc_token {
      service_account_email = google_service_account.push[0].email
      audience              = local.uri
    }
  }

  depends_on = [google_cloud_run_v2_service_iam_member.push, google_service_account_iam_member.push]
}

# Without this a message that failed too often is not moved, but delivered for ever.
resource "google_pubsub_subscription_iam_member" "dead_letters" {
  count        = local.is_pushed ? 1 : 0
  project      = var.place.project
  subscription = google_pubsub_subscription.push[0].name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}
