"""Start and stop of a process: exit codes, and signals turned into one event."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_OK = 0
EXIT_FAILED = 1  # a check or an audit found something wrong
EXIT_USAGE = 2  # the command line, the line file or the environment is wrong
EXIT_UNAVAILABLE = 3  # a server that must be there at start is not
EXIT_FATAL = 4  # a Fatal error ended the loop
EXIT_BUG = 70  # anything else: EX_SOFTWARE of sysexits.h


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM or SIGINT sets; a second signal exits at once with 128 + its number."""
    stop = threading.Event()

    def handle(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    previous = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
