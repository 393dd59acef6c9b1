# One function: its zip, what it runs as, what it may do, and the service.

locals {
  # Services are named roll-back for roll_back; an account's id has 6 to 30 characters.
  service    = replace(var.function.name, "_", "-")
  account    = "${var.place.prefix}-${local.service}"
  is_pushed  = var.function.wakes_on != "https"
  is_page    = var.function.callers == "iap"
  object     = "functions/${var.function.name}-${local.contents}.zip" # new contents are a new revision
  run_name   = local.is_page ? google_cloud_run_v2_service.page[0].name : google_cloudfunctions2_function.this[0].name
  uri        = local.is_page ? google_cloud_run_v2_service.page[0].uri : google_cloudfunctions2_function.this[0].service_config[0].uri
  contents   = try(file(replace(var.build.zip, "/[.]zip$/", ".sha256")), "missing")
  base_image = "${var.place.region}-docker.pkg.dev/serverless-runtimes/google-22-full/runtimes/${var.build.runtime}"
  environment = merge(
    {
      GOOGLE_CLOUD_PROJECT = var.place.project
      LOG_EXECUTION_ID     = "true"
    },
    var.function.store ? { STORE = "firestore", FIRESTORE_DATABASE = var.store.database } : {},
    var.function.reports ? { REPORTS_BUCKET = var.reports_bucket } : {},
    var.function.live != "" ? { LIVE_BUCKET = var.live_bucket } : {},
    var.environment,
  )
}

resource "google_storage_bucket_object" "source" {
  bucket = var.build.bucket
  name   = local.object
  source = var.build.zip
}

resource "google_service_account" "runtime" {
  project      = var.place.project
  account_id   = local.account
  display_name = "Vertex Rollouts: ${var.function.name}"
  description  = var.function.does
}

# Served over HTTP with the CloudEvent signature and woken by a subscription of our own: the trigger that the Functions API would make
# can have neither a dead letter nor a filter.
resource "google_cloudfunctions2_function" "this" {
  count       = local.is_page ? 0 : 1
  project     = var.place.project
  location    = var.place.region
  name        = local.service
  description = var.function.does

  build_config {
    runtime         = var.build.runtime
    entry_point     = var.function.name
    service_account = var.build.service_account
    source {
      storage_source {
        bucket = google_storage_bucket_object.source.bucket
        object = google_storage_bucket_object.source.name
      }
    }
  }

  service_config {
    available_memory                 = var.function.memory
    timeout_seconds                  = var.function.timeout
    min_instance_count               = var.function.warm
    max_instance_count               = var.function.instances
    max_instance_request_concurrency = 1
    all_traffic_on_latest_revision   = true
    # Pub/Sub of the same project counts as internal.
    ingress_settings      = local.is_pushed ? "ALLOW_INTERNAL_ONLY" : "ALLOW_ALL"
    service_account_email = google_service_account.runtime.email
    environment_variables = local.environment

    dynamic "secret_environment_variables" {
      for_each = var.function.secrets
      content {
        key        = secret_environment_variables.key
        project_id = var.place.project
        secret     = var.secrets[secret_environment_variables.value].id
        version    = var.secrets[secret_environment_variables.value].version # a number: a new secret is a new revision
      }
    }
  }

  # A revision does not start without its secrets.
  depends_on = [google_secret_manager_secret_iam_member.reads]
}

# A page for people is a Cloud Run service built from the same zip: only so can IAP stand before it without a load balancer.
resource "google_cloud_run_v2_service" "page" {
  count               = local.is_page ? 1 : 0
  project             = var.place.project
  location            = var.place.region
  name                = local.service
  description         = var.function.does
  ingress             = "INGRESS_TRAFFIC_ALL"
  iap_enabled         = true
  deletion_protection = false

  build_config {
    source_location          = "gs://${google_storage_bucket_object.source.bucket}/${google_storage_bucket_object.source.name}"
    function_target          = var.function.name
    base_image               = local.base_image
    enable_automatic_updates = true
    service_account          = var.build.service_account
  }

  template {
    service_account                  = google_service_account.runtime.email
    timeout                          = "${var.function.timeout}s"
    max_instance_request_concurrency = 1
    scaling {
      min_instance_count = var.function.warm
      max_instance_count = var.function.instances
    }
    containers {
      image          = "us-docker.pkg.dev/cloudrun/container/hello" # replaced by what is built
      base_image_uri = local.base_image
      resources {
        limits = { cpu = "1", memory = var.function.memory }
      }
      dynamic "env" {
        for_each = local.environment
        content {
          name  = env.key
          value = env.value
        }
      }
      dynamic "env" {
        for_each = var.function.secrets
        content {
          name = env.key
          value_source {
            secret_key_ref {
              secret  = var.secrets[env.value].id
              version = var.secrets[env.value].version
            }
          }
        }
      }
    }
  }

  lifecycle {
    ignore_changes = [template[0].containers[0].image] # the build writes it
  }
  depends_on = [google_secret_manager_secret_iam_member.reads]
}
