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
}

variables {
  project = { id = "example-project" }
}

run "defaults" {
  command = plan

  assert {
    condition     = length(module.function) == length(yamldecode(file("functions.yaml")))
    error_message = "Each row of the table is a function."
  }
}
