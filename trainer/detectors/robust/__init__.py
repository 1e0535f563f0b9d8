"""Robust trains densely on masks of pseudo-anomalies under attack; one net gives score and map."""
