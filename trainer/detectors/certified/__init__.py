"""Certified: a patch distance that no change of the pixels by at most e can move by more than e."""
