"""The entry point of ``python -m producers``."""

import sys

from producers.cli import main

if __name__ == "__main__":
    sys.exit(main())
