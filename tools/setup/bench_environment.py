"""Environments that a bench alone uses, beside that of the product: made on demand, and never shipped."""

import sys

from tools.setup.__main__ import one_at_a_time
from tools.setup.command import SetUpFailed
from tools.setup.part import SetUpPart


def provide(part: SetUpPart, module: str) -> int:
    """Make what is missing of an environment, and say how ``module`` is run in it; returns 0, or 1 after one
    clear line.
    """
    try:
        with one_at_a_time():
            part.provide()
    except SetUpFailed as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 1
    print(f"the environment is there: {part.folder.name}/bin/python -m {module} --help")
    return 0
