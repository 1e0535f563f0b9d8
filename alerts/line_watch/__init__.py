"""Measures the line itself: how far its scorers are, what is refused, whether scores come at all."""
