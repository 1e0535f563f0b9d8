"""The trainer: fit, attack, gate, promote and watch models."""
