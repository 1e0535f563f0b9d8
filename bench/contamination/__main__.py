"""Runs the bench as ``python -m bench.contamination``; see docs/results/2026-11-29-contamination.md."""

import typer

from bench.contamination.cli import main

if __name__ == "__main__":
    typer.run(main)
