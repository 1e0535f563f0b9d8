"""Pseudo-anomalies: normals distorted on purpose, their masks, and a check that they look abnormal."""
