"""Detectors: each in a folder of its own, named in ``registry``."""
