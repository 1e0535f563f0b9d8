"""Measures what a line loses, and for how long it stands still, when brokers of a cluster of three end."""
