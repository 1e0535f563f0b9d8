"""Runs the bench as ``python -m bench.robustness``; see docs/benchmark.md."""

import sys

from bench.robustness.cli import main

if __name__ == "__main__":
    sys.exit(main())
