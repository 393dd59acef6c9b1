"""The reference serving container and the traffic that calls it."""
