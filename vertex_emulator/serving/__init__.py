"""Model servers: processes under the custom-container contract, and simulated models."""
