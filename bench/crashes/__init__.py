"""Crash points: every outgoing call of every flow fails in every way it can, and the end is the same."""
