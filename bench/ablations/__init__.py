"""Measures what each part of a detector is worth; there is one file per detector, to be run by hand."""
