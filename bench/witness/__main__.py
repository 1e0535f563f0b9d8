"""Runs the bench as ``python -m bench.witness``; see docs/benchmark.md."""

import sys

from bench.witness.cli import main

if __name__ == "__main__":
    sys.exit(main())
