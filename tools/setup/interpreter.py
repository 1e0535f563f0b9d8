"""A Python that fits: the oldest we support and the newest that Triton's numpy < 2 has wheels for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tools.setup.command import SetUpFailed, answer

FITTING = ((3, 11), (3, 12))
_ASK = "import sys; print('%d %d' % sys.version_info[:2])"


def is_fitting() -> bool:
    """True when this very Python can make the environments."""
    return sys.version_info[:2] in FITTING


def go_on_with_a_fitting_python() -> None:
    """Replace this process by the same program in a fitting Python; SetUpFailed when there is none."""
    for version in FITTING:
        name = "python{}.{}".format(*version)
        for folder in os.environ.get("PATH", "").split(os.pathsep):
            python = str(Path(folder) / name)
            if (answer([python, "-c", _ASK]) or "").split() == [str(part) for part in version]:
                os.execv(python, [python, "-m", "tools.setup"])
    raise SetUpFailed(
        "please install Python 3.11 or 3.12 (Debian 12: apt-get install python3.11-venv, Ubuntu 24.04: "
        f"apt-get install python3.12-venv); this one is {'.'.join(map(str, sys.version_info[:3]))}"
    )
