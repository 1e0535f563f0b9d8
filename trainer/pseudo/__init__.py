"""Pseudo-anomalies: normals distorted on purpose, their masks, and the check that they left the normals."""
