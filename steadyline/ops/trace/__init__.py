"""Trace one frame: find from the topics alone what became of it."""
