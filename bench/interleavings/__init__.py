"""Interleavings: events, people, programs, clocks and misfortunes in any order, and what must hold after each of them."""
