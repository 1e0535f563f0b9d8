"""Gaussian: how unusual each pixel is at its place."""
