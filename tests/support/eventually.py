"""Waiting in tests: until something is so, never for a fixed time."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(check: Callable[[], T], within: float = 10.0, what: str = "") -> T:
    """Return the first truthy result of ``check``; fails with ``what`` after ``within`` seconds."""
    end = time.monotonic() + within
    pause = threading.Event()
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"not so within {within:g} s: {what or check}; last: {result!r}")
        pause.wait(0.05)
