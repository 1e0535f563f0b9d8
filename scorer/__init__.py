"""Scorer workers: frames in, scores out, exactly once."""
