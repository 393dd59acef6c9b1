"""What the deployed functions share. Layers, lowest first: errors, clock, events, policy, rollout, adapters, actions, runtime."""
