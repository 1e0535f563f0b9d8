"""Prove from the topics alone that captured = scored + dropped + dead-lettered + in flight."""
