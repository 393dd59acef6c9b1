# Topics, schedules, and the log sinks that bring what Vertex AI does.

resource "google_pubsub_topic" "this" {
  #checkov:skip=CKV_GCP_83:messages hold names and numbers; Google's own encryption keys are enough, and a key of ours would be one more way to stop a rollback
  for_each                   = local.topics
  project                    = var.project.id
  name                       = each.value
  message_retention_duration = "604800s"
  depends_on                 = [google_project_service.this]
}

# What could not be handled is kept for a person; a topic without a subscription keeps nothing.
resource "google_pubsub_subscription" "dead_letters" {
  project                    = var.project.id
  name                       = "dead-letters"
  topic                      = google_pubsub_topic.this["dead-letters"].id
  ack_deadline_seconds       = 60
  message_retention_duration = "2678400s"
  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_topic_iam_member" "dead_letters" {
  project = var.project.id
  topic   = google_pubsub_topic.this["dead-letters"].name
  role    = "roles/pubsub.publisher"
  member  = local.pubsub_agent
}

# Who trains announces its runs; who serves reports quality; who calls publishes a sample of what was answered.
resource "google_pubsub_topic_iam_member" "publishers" {
  for_each = {
    for pair in setproduct(setintersection(local.topics, ["training-completed", "quality-reported", "prediction-logged"]), var.delivery.publishers) :
    join(" ", pair) => { topic = pair[0], member = pair[1] }
  }
  project = var.project.id
  topic   = google_pubsub_topic.this[each.value.topic].name
  role    = "roles/pubsub.publisher"
  member  = each.value.member
}

resource "google_cloud_scheduler_job" "tick" {
  for_each    = { for name, row in local.table : name => row if row.wakes_on == "schedule" }
  project     = var.project.id
  region      = var.project.region
  name        = replace(each.key, "_", "-")
  description = each.value.does
  schedule    = each.value.every
  time_zone   = "Etc/UTC"

  pubsub_target {
    topic_name = google_pubsub_topic.this["schedule"].id
    # The Functions Framework refuses a message without data; the subscription filters on the attribute.
    data       = base64encode(jsonencode({ schema = "tick/v1", job = each.key }))
    attributes = { job = each.key }
  }
  retry_config {
    retry_count = 1 # the next tick is due in a minute
  }
}

locals {
  sinks = {
    # Over all method prefixes: v1, v1beta1, and the one that the console calls.
    model-uploaded     = "protoPayload.serviceName=\"aiplatform.googleapis.com\" AND protoPayload.methodName=~\"\\.ModelService\\.UploadModel$\""
    training-completed = "log_id(\"aiplatform.googleapis.com/pipeline_job_events\") AND jsonPayload.state=~\"PIPELINE_STATE_SUCCEEDED$\""
  }
  sinks_of = {
    for pair in setproduct(local.target_projects, keys(local.sinks)) : join(" ", pair) => { project = pair[0], topic = pair[1] }
  }
}

resource "google_logging_project_sink" "this" {
  for_each               = local.sinks_of
  project                = each.value.project
  name                   = "vertex-rollouts-${each.value.topic}"
  destination            = "pubsub.googleapis.com/${google_pubsub_topic.this[each.value.topic].id}"
  filter                 = local.sinks[each.value.topic]
  unique_writer_identity = true
}

resource "google_pubsub_topic_iam_member" "sinks" {
  for_each = local.sinks_of
  project  = var.project.id
  topic    = google_pubsub_topic.this[each.value.topic].name
  role     = "roles/pubsub.publisher"
  member   = google_logging_project_sink.this[each.key].writer_identity
}

# The webhook's token may stand in the address (?auth_token=), and Cloud Run logs addresses. The sink is Google's own and only taken over;
# removing it from here leaves it as it is.
resource "google_logging_project_sink" "default" {
  project                = var.project.id
  name                   = "_Default"
  destination            = "logging.googleapis.com/projects/${var.project.id}/locations/global/buckets/_Default"
  filter                 = "NOT LOG_ID(\"cloudaudit.googleapis.com/activity\") AND NOT LOG_ID(\"externalaudit.googleapis.com/activity\") AND NOT LOG_ID(\"cloudaudit.googleapis.com/system_event\") AND NOT LOG_ID(\"externalaudit.googleapis.com/system_event\") AND NOT LOG_ID(\"cloudaudit.googleapis.com/access_transparency\") AND NOT LOG_ID(\"externalaudit.googleapis.com/access_transparency\")"
  unique_writer_identity = true

  exclusions {
    name        = "webhook-token"
    description = "Requests to receive_alert, whose address may hold its token"
    filter      = "log_id(\"run.googleapis.com/requests\") AND resource.labels.service_name=\"receive-alert\" AND httpRequest.requestUrl=~\"[?&]auth_token=\""
  }
}
