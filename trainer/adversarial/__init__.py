"""Training under attack: what detectors that learn from pseudo-anomalies share."""
