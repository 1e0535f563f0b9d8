"""What may lie in a product's folder of Triton's model repository, where Triton would run a library."""

import re

from steadyline.contracts.message import MOST_VERSION

CONFIG, FENCE = "config.pbtxt", ".fence"

_VERSION = re.compile(r"[1-9][0-9]{0,9}")
# What a trainer that was cut short leaves; Triton reads none of them.
_LEFTOVER = re.compile(rf"\.(?:tmp|gone)[0-9]{{1,10}}|\.{re.escape(CONFIG)}\.partial")
_ASIDE = re.compile(r"\.aside[0-9]{1,10}")


def version_of(name: str) -> int | None:
    """Return the version that a folder of this name holds, None when it is not the name of one."""
    return int(name) if _VERSION.fullmatch(name) and int(name) <= MOST_VERSION else None


def is_leftover(name: str) -> bool:
    """Tell whether a trainer that was cut short may have left something of this name."""
    return _LEFTOVER.fullmatch(name) is not None


def aside_name(version: int) -> str:
    """Return the name of the file of a version whose place another one has taken; Triton does not read it."""
    return f".aside{version}"


def is_aside(name: str) -> bool:
    """Tell whether a file of this name may be of a version whose place another one has taken."""
    return _ASIDE.fullmatch(name) is not None
