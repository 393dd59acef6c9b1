output "account" {
  description = "What the function runs as."
  value       = google_service_account.runtime.email
}

output "member" {
  description = "The same, as bindings want it."
  value       = google_service_account.runtime.member
}

output "push_account" {
  description = "Who wakes it; empty for a function over HTTPS."
  value       = one(google_service_account.push[*].email)
}

output "permissions" {
  description = "What its custom role allows."
  value       = var.function.permissions
}

output "service" {
  description = "The name of its Cloud Run service."
  value       = local.run_name
}

output "subscription" {
  description = "What wakes it; empty for a function over HTTPS."
  value       = one(google_pubsub_subscription.push[*].name)
}

output "uri" {
  description = "Where it listens."
  value       = local.uri
}
