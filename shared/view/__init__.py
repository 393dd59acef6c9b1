"""What people see of a rollout, as values and sentences: shown by the command line and by the status page alike."""
