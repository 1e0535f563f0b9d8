"""Contamination: what defects among the normals cost a detector, with and without the guards."""
