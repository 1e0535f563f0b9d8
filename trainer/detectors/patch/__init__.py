"""Patch compares frozen features with those of normals: the nearest patch, and the Gaussian of the place."""
