"""A real process with a bug in it: ``python -m tests.support.planted_bug EVENT TEXT MODULE [ARGUMENT …]``.

Python tells an audit hook of every file that is opened and every module that is imported, wherever that
happens. This one raises there what no code foresees, when the values of ``EVENT`` have ``TEXT`` in them. The
module runs otherwise as ``python -m MODULE`` does, and nothing of ours is replaced.
"""

import runpy
import sys
from typing import Any


def main() -> None:
    """Plant the bug and run the module."""
    event, text, module, *arguments = sys.argv[1:]

    def strike(name: str, values: tuple[Any, ...]) -> None:
        if name == event and text in repr(values):
            raise ZeroDivisionError("a planted bug")

    sys.argv = [module, *arguments]
    sys.addaudithook(strike)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
