# An endpoint that Terraform owns, while the functions own what is deployed on it and how its traffic is split.

resource "google_vertex_ai_endpoint" "this" {
  #checkov:skip=CKV2_GCP_24:Google's own encryption keys; who needs others makes the endpoint and names it in the policy
  #checkov:skip=CKV2_GCP_33:callers outside of a network are the usual case; a private endpoint is made beside and named in the policy
  project                    = var.project
  name                       = var.number
  display_name               = var.display_name
  location                   = var.region
  region                     = var.region
  dedicated_endpoint_enabled = var.dedicated

  lifecycle {
    # The split is moved by advance_rollout and roll_back; an apply that put it back would undo a rollback. Labels that the functions
    # write (vr-...) are not in the configuration, and the provider leaves those alone.
    ignore_changes = [traffic_split]
  }
}
