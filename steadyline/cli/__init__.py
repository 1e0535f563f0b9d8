"""The ``steadyline`` command: one file a verb, mounted in ``app``."""

from steadyline.cli.app import main

__all__ = ["main"]
