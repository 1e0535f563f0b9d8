"""Robust: dense training under attack on the masks of pseudo-anomalies; score and map from one net."""
