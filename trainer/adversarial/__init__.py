"""Adversarial training: what detectors that learn from pseudo-anomalies under attack have in common."""
