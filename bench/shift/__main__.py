"""Runs the bench as ``python -m bench.shift``; see docs/benchmark.md."""

import sys

from bench.shift.cli import main

if __name__ == "__main__":
    sys.exit(main())
