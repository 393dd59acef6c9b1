# One function by itself: the page behind IAP, and what is refused before anything is asked of Google.

mock_provider "google" {
  override_during = plan
  mock_resource "google_service_account" {
    defaults = {
      email  = "someone@example-project.iam.gserviceaccount.com"
      member = "serviceAccount:someone@example-project.iam.gserviceaccount.com"
      name   = "projects/example-project/serviceAccounts/someone@example-project.iam.gserviceaccount.com"
    }
  }
}

variables {
  build = {
    zip             = "./functions.yaml" # any file; what is in it is not looked at
    bucket          = "sources"
    service_account = "projects/example-project/serviceAccounts/build@example-project.iam.gserviceaccount.com"
  }
  function        = { name = "status_page", does = "Shows rollouts", wakes_on = "https", callers = "iap", permissions = ["aiplatform.endpoints.list"] }
  place           = { project = "example-project", number = "123456789012", region = "us-central1" }
  people          = ["group:ml@example.com"]
  live_bucket     = "live"
  reports_bucket  = "reports"
  store           = { database = "(default)", role = "projects/example-project/roles/vertexRolloutsStore" }
  target_projects = ["example-project", "other-project"]
  topics          = { dead-letters = "projects/example-project/topics/dead-letters", schedule = "projects/example-project/topics/schedule" }
}

run "a_page_is_behind_iap_and_woken_by_nobody" {
  command = plan
  module {
    source = "./modules/function"
  }
  assert {
    condition     = google_cloud_run_v2_service.page[0].iap_enabled && length(google_cloudfunctions2_function.this) == 0
    error_message = "A page is a Cloud Run service with IAP before it."
  }
  assert {
    condition     = google_iap_web_cloud_run_service_iam_member.people["group:ml@example.com"].role == "roles/iap.httpsResourceAccessor"
    error_message = "Only the people who are named come through."
  }
  assert {
    condition     = length(google_cloud_run_v2_service_iam_member.anyone) == 0 && length(google_pubsub_subscription.push) == 0
    error_message = "Nobody may call it past IAP."
  }
  assert {
    condition     = toset(keys(google_project_iam_custom_role.this)) == toset(["example-project", "other-project"])
    error_message = "Its role is made in each project with targets."
  }
}

run "a_function_of_the_schedule_hears_only_its_own_job" {
  command = plan
  module {
    source = "./modules/function"
  }
  variables {
    function = { name = "retire_models", does = "Undeploys", wakes_on = "schedule" }
  }
  assert {
    condition     = google_pubsub_subscription.push[0].filter == "attributes.job = \"retire_models\""
    error_message = "The subscription filters on the job."
  }
  assert {
    condition     = google_cloudfunctions2_function.this[0].service_config[0].ingress_settings == "ALLOW_INTERNAL_ONLY"
    error_message = "What Pub/Sub wakes is called from inside only."
  }
  assert {
    condition     = length(google_project_iam_custom_role.this) == 0
    error_message = "No role without a permission."
  }
}

run "it_may_not_work_longer_than_pubsub_waits" {
  command = plan
  module {
    source = "./modules/function"
  }
  variables {
    function = { name = "retire_models", does = "Undeploys", wakes_on = "schedule", timeout = 600 }
  }
  expect_failures = [var.function]
}

run "over_https_it_says_who_calls" {
  command = plan
  module {
    source = "./modules/function"
  }
  variables {
    function = { name = "receive_alert", does = "Takes incidents", wakes_on = "https" }
  }
  expect_failures = [var.function]
}

run "what_was_not_packaged_is_not_deployed" {
  command = plan
  module {
    source = "./modules/function"
  }
  variables {
    build = { zip = "./nothing.zip", bucket = "sources", service_account = "someone" }
  }
  expect_failures = [var.build]
}
