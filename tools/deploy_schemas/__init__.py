"""The definitions and JSON schemas that deployments are checked with, from published artefacts."""
