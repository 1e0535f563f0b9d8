"""Maintenance windows: when nobody is notified, of what, and what is told at their end."""
