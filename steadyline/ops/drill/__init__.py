"""Attacks on a running line, to see what holds."""
