"""Trainings as Jobs of Kubernetes, made from a template and followed through their pods."""
