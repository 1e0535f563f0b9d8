"""Watches the live model with known frames, and has a lost bank made again. It imports no torch."""
