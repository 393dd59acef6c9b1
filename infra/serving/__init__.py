"""The reference serving container: a small prediction server under Vertex AI's custom-container contract."""
