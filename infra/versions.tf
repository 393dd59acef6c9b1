terraform {
  # 1.11: secrets are written without being kept in the state.
  required_version = ">= 1.11"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 7.0, < 9.0"
    }
  }
}

provider "google" {
  project = var.project.id
  region  = var.project.region
}
