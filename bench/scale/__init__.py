"""How the cost of a tick grows with the number of rollouts."""
