# What the audit of costs may read besides what it audits.

# In its own dataset only, wherever that is: rows of the whole billing account are in it.
resource "google_bigquery_dataset_iam_member" "billing_export" {
  count      = var.costs.billing_export == "" ? 0 : 1
  project    = split(".", var.costs.billing_export)[0]
  dataset_id = split(".", var.costs.billing_export)[1]
  role       = "roles/bigquery.dataViewer"
  member     = module.function["audit_costs"].member
}
