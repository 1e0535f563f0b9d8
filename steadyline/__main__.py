"""``python -m steadyline`` is the ``steadyline`` command."""

import sys

from steadyline.cli import main

if __name__ == "__main__":
    sys.exit(main())
