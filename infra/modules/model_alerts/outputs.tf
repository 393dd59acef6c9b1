output "alerts" {
  description = "The display names of the alert policies."
  value = concat(
    google_monitoring_alert_policy.errors[*].display_name,
    google_monitoring_alert_policy.latency[*].display_name,
    [for policy in google_monitoring_alert_policy.quality : policy.display_name],
    [google_monitoring_alert_policy.no_traffic.display_name, google_monitoring_alert_policy.saturation.display_name],
  )
}
