# What the function may do, and who may call it. Nothing is granted that its row in functions.yaml does not name.

locals {
  role_id = "vertexRollouts${join("", [for part in split("_", var.function.name) : title(part)])}"
}

resource "google_project_iam_custom_role" "this" {
  for_each    = length(var.function.permissions) > 0 ? var.target_projects : []
  project     = each.value
  role_id     = local.role_id
  title       = "Vertex Rollouts: ${var.function.name}"
  description = var.function.does
  permissions = var.function.permissions
}

resource "google_project_iam_member" "this" {
  for_each = google_project_iam_custom_role.this
  project  = each.value.project
  role     = each.value.id
  member   = google_service_account.runtime.member
}

resource "google_project_iam_member" "store" {
  count   = var.function.store ? 1 : 0
  project = var.place.project
  role    = var.store.role
  member  = google_service_account.runtime.member
  condition {
    title      = "Only the database of Vertex Rollouts"
    expression = "resource.name == \"projects/${var.place.project}/databases/${var.store.database}\""
  }
}

resource "google_pubsub_topic_iam_member" "publishes" {
  for_each = toset(var.function.publishes)
  project  = var.place.project
  topic    = var.topics[each.value]
  role     = "roles/pubsub.publisher"
  member   = google_service_account.runtime.member
}

resource "google_secret_manager_secret_iam_member" "reads" {
  for_each  = var.function.secrets
  project   = var.place.project
  secret_id = var.secrets[each.value].id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.runtime.member
}

resource "google_storage_bucket_iam_member" "reports" {
  count  = var.function.reports ? 1 : 0
  bucket = var.reports_bucket
  role   = "roles/storage.objectUser"
  member = google_service_account.runtime.member
}

resource "google_storage_bucket_iam_member" "live" {
  count  = var.function.live != "" ? 1 : 0
  bucket = var.live_bucket
  role   = var.function.live == "write" ? "roles/storage.objectUser" : "roles/storage.objectViewer"
  member = google_service_account.runtime.member
}

# Who pushes has an identity of its own, which may call this service and nothing else.
resource "google_service_account" "push" {
  count        = local.is_pushed ? 1 : 0
  project      = var.place.project
  account_id   = "${substr(local.account, 0, 25)}-push"
  display_name = "Vertex Rollouts: wakes ${var.function.name}"
}

resource "google_cloud_run_v2_service_iam_member" "push" {
  count    = local.is_pushed ? 1 : 0
  project  = var.place.project
  location = var.place.region
  name     = local.run_name
  role     = "roles/run.invoker"
  member   = google_service_account.push[0].member
}

resource "google_service_account_iam_member" "push" {
  count              = local.is_pushed ? 1 : 0
  service_account_id = google_service_account.push[0].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = "serviceAccount:service-${var.place.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

# Monitoring's webhook and the ID tokens of people are authenticated by the function itself.
resource "google_cloud_run_v2_service_iam_member" "anyone" {
  count    = var.function.callers == "anyone" ? 1 : 0
  project  = var.place.project
  location = var.place.region
  name     = local.run_name
  role     = "roles/run.invoker"
  member   = "allUsers"
}

resource "google_cloud_run_v2_service_iam_member" "iap" {
  count    = local.is_page ? 1 : 0
  project  = var.place.project
  location = var.place.region
  name     = local.run_name
  role     = "roles/run.invoker"
  member   = "serviceAccount:service-${var.place.number}@gcp-sa-iap.iam.gserviceaccount.com"
}

resource "google_iap_web_cloud_run_service_iam_member" "people" {
  for_each               = local.is_page ? toset(var.people) : []
  project                = var.place.project
  location               = var.place.region
  cloud_run_service_name = local.run_name
  role                   = "roles/iap.httpsResourceAccessor"
  member                 = each.value
}
