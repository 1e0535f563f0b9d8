"""Runs the bench as ``python -m bench.threats``; see docs/benchmark.md."""

import sys

from bench.threats.cli import main

if __name__ == "__main__":
    sys.exit(main())
