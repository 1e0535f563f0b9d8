"""Grafana's dashboards and the rules of the SLOs, made from code: ``python -m tools.dashboards``."""
