# Everything that Vertex Rollouts needs in one project: `terraform apply`. docs/deploy.md has each step.

data "google_project" "this" {
  project_id = var.project.id
}

locals {
  number       = data.google_project.this.number
  audience     = "vertex-rollouts-${var.project.id}" # what an ID token for receive_command is made for; a name, not an address
  pubsub_agent = "serviceAccount:service-${local.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
  services = toset([
    "aiplatform.googleapis.com",
    "artifactregistry.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudfunctions.googleapis.com",
    "cloudscheduler.googleapis.com",
    "firestore.googleapis.com",
    "iam.googleapis.com",
    "iap.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
  ])
}

resource "google_project_service" "this" {
  for_each           = local.services
  project            = var.project.id
  service            = each.value
  disable_on_destroy = false # others may use it too
}

module "function" {
  for_each = local.table
  source   = "./modules/function"

  function = merge(each.value, {
    # Without a value a secret has no version, and a revision that wants it does not start.
    secrets = { for variable, secret in each.value.secrets : variable => secret if contains(keys(local.secrets), secret) }
  })
  environment = merge(each.value.environment, each.key == "receive_command" ? {
    COMMAND_AUDIENCE  = local.audience
    COMMAND_OPERATORS = join(" ", var.operators)
    } : {}, each.key == "status_page" ? {
    # The assertion of Identity-Aware Proxy is made for the service that it stands before.
    PAGE_AUDIENCE     = "/projects/${local.number}/locations/${var.project.region}/services/status-page"
    COMMAND_OPERATORS = join(" ", var.operators)
    } : {}, each.key == "freeze_rollouts" && local.does_budget_freeze ? {
    BUDGET_FREEZES_AT = tostring(var.budget.freeze_at)
    } : {}, each.key == "notify" && var.page.url != "" ? {
    STATUS_PAGE_URL = var.page.url
    } : {}, each.key == "notify" && length(var.costs.fleet_channels) > 0 ? {
    FLEET_CHANNELS = join(",", var.costs.fleet_channels)
    } : {}, each.key == "audit_costs" && length(var.costs.audit_regions) > 0 ? {
    AUDIT_REGIONS = join(",", var.costs.audit_regions)
    } : {}, each.key == "audit_costs" && var.costs.billing_export != "" ? {
    BILLING_EXPORT = "bq://${var.costs.billing_export}"
  } : {})
  place = {
    project = var.project.id
    number  = local.number
    region  = var.project.region
    prefix  = var.project.prefix
  }
  build = {
    zip             = "${local.zips}/${each.key}.zip"
    bucket          = google_storage_bucket.sources.name
    service_account = google_service_account.build.id
  }
  store = {
    database = google_firestore_database.this.name
    role     = google_project_iam_custom_role.store.id
  }
  people                = var.page.people
  reports_bucket        = google_storage_bucket.reports.name
  live_bucket           = google_storage_bucket.live.name
  secrets               = local.secrets
  topics                = { for name, topic in google_pubsub_topic.this : name => topic.id }
  target_projects       = local.target_projects
  notification_channels = local.people

  depends_on = [google_project_service.this, google_project_iam_member.build]
}

# Who builds the zips; the default account of Cloud Build may do far more.
resource "google_service_account" "build" {
  project      = var.project.id
  account_id   = "${var.project.prefix}-build"
  display_name = "Vertex Rollouts: builds the functions"
}

resource "google_project_iam_member" "build" {
  for_each = toset(["roles/logging.logWriter", "roles/artifactregistry.writer", "roles/storage.objectViewer"])
  project  = var.project.id
  role     = each.value
  member   = google_service_account.build.member
}

# Deploying a model as an account is acting as it.
resource "google_service_account_iam_member" "serving" {
  for_each           = toset(var.delivery.serving_accounts)
  service_account_id = "projects/-/serviceAccounts/${each.value}"
  role               = "roles/iam.serviceAccountUser"
  member             = module.function["advance_rollout"].member
}

resource "google_storage_bucket_iam_member" "artifacts" {
  for_each = toset(var.delivery.artifact_buckets)
  bucket   = each.value
  role     = "roles/storage.objectViewer"
  member   = module.function["register_model"].member
}

# A version is uploaded once more in every other project of its targets, whose Vertex AI reads the same artifact there.
resource "google_storage_bucket_iam_member" "copied" {
  for_each = {
    for pair in setproduct(setsubtract(local.target_projects, [var.project.id]), var.delivery.artifact_buckets) :
    join(" ", pair) => { project = pair[0], bucket = pair[1] }
  }
  bucket = each.value.bucket
  role   = "roles/storage.objectViewer"
  member = "serviceAccount:service-${data.google_project.target[each.value.project].number}@gcp-sa-aiplatform.iam.gserviceaccount.com"
}

resource "google_storage_bucket_iam_member" "exports" {
  for_each = local.exporting
  bucket   = each.value.bucket
  role     = each.value.role
  member   = module.function[each.value.function].member
}

resource "google_storage_bucket_iam_member" "gates" {
  for_each = local.examining
  bucket   = each.value.bucket
  role     = "roles/storage.objectViewer"
  member   = module.function[each.value.function].member
}

# An export is copied from where training has left it.
resource "google_storage_bucket_iam_member" "exported" {
  for_each = length(var.delivery.export_buckets) > 0 ? toset(var.delivery.artifact_buckets) : []
  bucket   = each.value
  role     = "roles/storage.objectViewer"
  member   = module.function["advance_rollout"].member
}

module "endpoint" {
  for_each     = var.endpoints
  source       = "./modules/endpoint"
  project      = var.project.id
  number       = each.key
  region       = each.value.region
  display_name = each.value.display_name
  dedicated    = each.value.dedicated
}
