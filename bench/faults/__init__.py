"""Measures what a line loses when something under it fails, and whether it stays the same for an hour."""
