"""The bank of pseudo-anomalies; only this package knows its keys and formats."""
