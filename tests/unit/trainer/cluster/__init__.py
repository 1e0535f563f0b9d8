"""Tests of trainings as Jobs."""
