"""Certified is a patch distance that moves by at most e when each pixel changes by at most e."""
