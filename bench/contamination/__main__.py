"""Runs the bench as ``python -m bench.contamination``; see docs/results/2026-11-29-contamination.md."""

from bench.command import run_main
from bench.contamination.cli import main

if __name__ == "__main__":
    raise SystemExit(run_main(main))
