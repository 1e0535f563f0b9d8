"""The bank of pseudo-anomalies: one owner of keys and formats."""
