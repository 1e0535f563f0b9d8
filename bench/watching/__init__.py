"""Watches a real line with a real Prometheus: every query of the dashboards, and alerts by their causes."""
