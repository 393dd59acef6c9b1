output "next_steps" {
  description = "What to do after an apply."
  value       = <<-TEXT
    Everything is there. What is left to you:
      export GOOGLE_CLOUD_PROJECT=${var.project.id} STORE=firestore FIRESTORE_DATABASE='${var.store.database}'
      export LIVE_BUCKET=${google_storage_bucket.live.name}   # for rollouts resolve
      export ROLLOUTS_COMMAND_URL=${module.function["receive_command"].uri}
      export ROLLOUTS_ID_TOKEN=$(gcloud auth print-identity-token --include-email --audiences=${local.audience} \
        --impersonate-service-account=OPERATOR@${var.project.id}.iam.gserviceaccount.com)   # for commands; docs/cli.md
      rollouts doctor                                  # says what is still missing
      rollouts apply ${local.folder} --author YOU@example.com
    ${length(local.people) == 0 ? "  Nobody is told of anything yet: set alerting.emails or alerting.channels, and apply again." : ""}
    ${length(local.policies) == 0 ? "  There is no policy in ${local.folder}: write one (docs/policy.md), and apply again." : ""}
    Dashboard: https://console.cloud.google.com/monitoring/dashboards?project=${var.project.id}
  TEXT
}

output "command_url" {
  description = "Where the command line sends commands: ROLLOUTS_COMMAND_URL."
  value       = module.function["receive_command"].uri
}

output "command_audience" {
  description = "What an ID token for commands is made for: gcloud auth print-identity-token --audiences."
  value       = local.audience
}

output "page_urls" {
  description = "The pages behind IAP."
  value       = { for name, row in local.table : name => module.function[name].uri if row.callers == "iap" }
}

output "alerts" {
  description = "The alert policies of each served model."
  value       = { for target, alerts in module.model_alerts : target => alerts.alerts }
}

output "roles" {
  description = "What each function may do in the projects with targets; the records, its topics and its secrets come besides."
  value       = { for name, function in module.function : name => function.permissions }
}
