"""Producers: one process for one or many cameras; captures frames and publishes them, each accounted for."""
