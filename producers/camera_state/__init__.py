"""Determine the state of a camera from its rate and its pictures."""
