"""Benchmarks: run by hand, results dated in docs/results."""
