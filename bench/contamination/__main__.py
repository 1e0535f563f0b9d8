"""Runs the bench as ``python -m bench.contamination``; see docs/results/2026-11-29-contamination.md."""

import sys

from bench.contamination.cli import app
from steadyline.service import run

if __name__ == "__main__":
    sys.exit(run(app, None))
