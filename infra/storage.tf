# What is kept: records in Firestore, reports and sources in buckets, secrets.

resource "google_firestore_database" "this" {
  project                           = var.project.id
  name                              = var.store.database
  location_id                       = var.store.location
  type                              = "FIRESTORE_NATIVE"
  delete_protection_state           = var.store.protect ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = var.store.protect ? "ABANDON" : "DELETE"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  depends_on                        = [google_project_service.this]
}

resource "google_firestore_backup_schedule" "daily" {
  project   = var.project.id
  database  = google_firestore_database.this.name
  retention = var.store.backups
  daily_recurrence {}
}

locals {
  # Made from shared/store/indexes.py; a query without its index is refused in production.
  indexes = yamldecode(file("${path.module}/firestore.yaml"))
  directed = {
    for pair in setproduct(local.indexes.indexes, ["ASCENDING", "DESCENDING"]) :
    "${pair[0].collection} ${join(" ", pair[0].fields)} ${pair[1]}" => merge(pair[0], { direction = pair[1] })
  }
}

resource "google_firestore_index" "this" {
  for_each    = local.directed
  project     = var.project.id
  database    = google_firestore_database.this.name
  collection  = each.value.collection
  query_scope = "COLLECTION"

  dynamic "fields" {
    for_each = each.value.fields
    content {
      field_path = fields.value
      order      = fields.key == length(each.value.fields) - 1 ? each.value.direction : "ASCENDING"
    }
  }
}

resource "google_firestore_field" "ttl" {
  for_each   = toset(local.indexes.expiring)
  project    = var.project.id
  database   = google_firestore_database.this.name
  collection = each.value
  field      = "expires"
  ttl_config {}
  index_config {} # nobody asks by it, and an index on times written in order is a hot spot
}

resource "google_project_iam_custom_role" "store" {
  project     = var.project.id
  role_id     = "vertexRolloutsStore"
  title       = "Vertex Rollouts: records"
  description = "Reads and writes the documents of its own database"
  permissions = [
    "datastore.entities.create",
    "datastore.entities.delete",
    "datastore.entities.get",
    "datastore.entities.list",
    "datastore.entities.update",
  ]
}

resource "google_storage_bucket" "sources" {
  #checkov:skip=CKV_GCP_62:the audit log says who changed it; access logs of a bucket of zips tell nobody anything
  project                     = var.project.id
  name                        = "${var.project.id}-vertex-rollouts-sources"
  location                    = var.project.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  versioning {
    enabled = true
  }
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      num_newer_versions = 5
    }
  }
  depends_on = [google_project_service.this]
}

# Which endpoint of two is live (blue-green), or whose each key is (sticky experiments): one small object per target, read by every client, so it is seldom written and never public.
resource "google_storage_bucket" "live" {
  #checkov:skip=CKV_GCP_62:the audit log says who changed it; clients read it every half minute
  project                     = var.project.id
  name                        = "${var.project.id}-vertex-rollouts-live"
  location                    = var.project.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  versioning {
    enabled = true
  }
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      num_newer_versions = 20
    }
  }
  depends_on = [google_project_service.this]
}

resource "google_storage_bucket_iam_member" "clients" {
  for_each = toset(var.clients)
  bucket   = google_storage_bucket.live.name
  role     = "roles/storage.objectViewer"
  member   = each.value
}

# Reports of audit_costs.
resource "google_storage_bucket" "reports" {
  #checkov:skip=CKV_GCP_62:the audit log says who changed it; the readers of a cost report need not be recorded
  project                     = var.project.id
  name                        = "${var.project.id}-vertex-rollouts-reports"
  location                    = var.project.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  versioning {
    enabled = true
  }
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = 400 # a year can be compared with the year before
    }
  }
  depends_on = [google_project_service.this]
}

locals {
  has_webhook  = var.alerting.by == "webhook"
  secret_names = toset(concat(["notify-channels"], local.has_webhook ? ["alert-token"] : []))
  secrets = {
    for name in local.secret_names : name => {
      id      = google_secret_manager_secret.this[name].secret_id
      version = google_secret_manager_secret_version.this[name].version
    }
  }
}

resource "google_secret_manager_secret" "this" {
  for_each  = local.secret_names
  project   = var.project.id
  secret_id = "vertex-rollouts-${each.value}"
  replication {
    auto {}
  }
  depends_on = [google_project_service.this]
}

# Written, and never kept in the state.
resource "google_secret_manager_secret_version" "this" {
  for_each               = local.secret_names
  secret                 = google_secret_manager_secret.this[each.value].id
  secret_data_wo         = each.value == "alert-token" ? var.alert_token : jsonencode(var.notify_channels)
  secret_data_wo_version = var.secrets_version
}
