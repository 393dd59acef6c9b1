output "name" {
  description = "Its full name."
  value       = google_vertex_ai_endpoint.this.id
}
