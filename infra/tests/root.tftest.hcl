# The whole of it, planned without a cloud: mock values stand for what Google would answer.

mock_provider "google" {
  override_during = plan
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
  mock_resource "google_service_account" {
    defaults = {
      email  = "someone@example-project.iam.gserviceaccount.com"
      member = "serviceAccount:someone@example-project.iam.gserviceaccount.com"
      name   = "projects/example-project/serviceAccounts/someone@example-project.iam.gserviceaccount.com"
    }
  }
  mock_resource "google_pubsub_topic" {
    defaults = { id = "projects/example-project/topics/some-topic" }
  }
}

variables {
  project  = { id = "example-project" }
  alerting = { emails = ["ml@example.com"] }
}

run "defaults" {
  command = plan

  assert {
    condition     = length(module.function) == length(yamldecode(file("functions.yaml")))
    error_message = "Each row of the table is a function."
  }
  assert {
    condition     = output.roles["roll_back"] == tolist(["aiplatform.endpoints.get", "aiplatform.endpoints.update"])
    error_message = "roll_back can read and update an endpoint, and neither deploy nor delete."
  }
  assert {
    condition     = alltrue([for name, function in module.function : function.subscription == replace(name, "_", "-") if local.table[name].wakes_on != "https"])
    error_message = "What Pub/Sub wakes has a subscription of its name."
  }
  assert {
    condition     = google_cloud_scheduler_job.tick["assess_rollouts"].schedule == "* * * * *" && jsondecode(base64decode(google_cloud_scheduler_job.tick["assess_rollouts"].pubsub_target[0].data)).job == "assess_rollouts"
    error_message = "A tick a minute, with data: the Functions Framework refuses a message without."
  }
  assert {
    condition     = length(google_firestore_index.this) == 2 * length(yamldecode(file("firestore.yaml")).indexes)
    error_message = "Each composite index is made in both directions."
  }
  assert {
    condition     = length(google_monitoring_notification_channel.pubsub) == 1 && length(google_monitoring_notification_channel.webhook) == 0
    error_message = "Incidents come by Pub/Sub unless the webhook is asked for."
  }
  assert {
    condition     = strcontains(google_logging_project_sink.default.exclusions[0].filter, "auth_token=")
    error_message = "Requests whose address may hold the webhook's token are not logged."
  }
  assert {
    condition     = length(google_billing_budget.this) == 0 && length(google_pubsub_topic_iam_member.billing) == 0
    error_message = "No budget without an account, and nobody who speaks of one."
  }
  assert {
    condition     = length(output.alerts["arr-coc-relevance/us-central1/arr-coc-serving"]) == 6
    error_message = "Errors, latency, two qualities, no traffic, saturation."
  }
}

run "webhook_budget_and_endpoint" {
  command = plan
  variables {
    alerting    = { by = "webhook" }
    alert_token = "0123456789abcdef"
    budget      = { billing_account = "000000-000000-000000", monthly = 600, freeze_at = 1 }
    costs       = { fleet_channels = ["slack://ops"], audit_regions = ["europe-west4"], billing_export = "acme-billing.export.gcp_billing_export_v1_0" }
    endpoints   = { "1234567890" = { region = "us-central1", display_name = "churn" } }
    page        = { people = ["group:ml@example.com"] }
  }

  assert {
    condition     = google_monitoring_notification_channel.webhook[0].type == "webhook_basicauth"
    error_message = "The token is a password: addresses are logged."
  }
  assert {
    condition     = google_secret_manager_secret.this["alert-token"].secret_id == "vertex-rollouts-alert-token"
    error_message = "The token is a secret."
  }
  assert {
    condition     = google_billing_budget.this[0].threshold_rules[2].threshold_percent == 1
    error_message = "Thresholds are shares: 1.0 is all of the budget."
  }
  assert {
    condition     = google_bigquery_dataset_iam_member.billing_export[0].project == "acme-billing"
    error_message = "The billing export is opened where it is."
  }
  assert {
    condition     = google_pubsub_topic_iam_member.billing[0].topic == "budget-notified"
    error_message = "Cloud Billing says what was spent."
  }
}

run "a_project_is_named_by_its_id" {
  command = plan
  variables {
    project = { id = "123456789012" }
  }
  expect_failures = [var.project]
}

run "silence_is_longer_than_two_ticks" {
  command = plan
  variables {
    alerting = { silence = "30s" }
  }
  expect_failures = [var.alerting]
}

run "a_freeze_is_at_a_threshold" {
  command = plan
  variables {
    budget = { billing_account = "000000-000000-000000", monthly = 600, freeze_at = 0.95 }
  }
  expect_failures = [var.budget]
}

run "a_budget_has_an_amount" {
  command = plan
  variables {
    budget = { billing_account = "000000-000000-000000" }
  }
  expect_failures = [var.budget]
}

run "targets_in_another_project" {
  command = plan
  variables {
    delivery = { policies = "tests/policies" }
  }

  assert {
    condition     = length(google_logging_project_sink.this) == 4 && google_logging_project_sink.this["other-project model-uploaded"].project == "other-project"
    error_message = "Uploads and runs are heard of in each project with targets."
  }
  assert {
    condition     = length(output.alerts["churn-elsewhere/other-project/europe-west4/churn-serving"]) == 4
    error_message = "Errors, latency, no traffic, saturation; a check that is not gating raises no alert."
  }
  assert {
    condition     = local.targets["shop-ranking/other-project/europe-west4/shop-serving"].arms == "arm-shop-serving-[0-9a-f]{8}" && length(output.alerts["shop-ranking/other-project/europe-west4/shop-serving"]) == 3
    error_message = "The alerts of a sticky experiment are about the endpoints of its arms, too."
  }
}

run "a_webhook_has_a_token" {
  command = plan
  variables {
    alerting = { by = "webhook" }
  }
  expect_failures = [var.alert_token]
}
