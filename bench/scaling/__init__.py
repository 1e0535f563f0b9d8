"""Predicts what a larger line needs, from costs measured here; ``python -m bench.scaling``."""
