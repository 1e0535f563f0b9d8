"""SIGTERM and SIGINT as a request to end in order, and a later one as an order to end at once."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

AT_ONCE_SECONDS = 1.0  # `make`, `timeout` and a terminal each pass on one and the same request


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM or SIGINT sets; another signal, AT_ONCE_SECONDS later or more, exits with
    128 + its number.

    Whoever else sets the event, as a task does that fails, has sent no signal: the first one then changes
    nothing, and the service still ends in order.
    """
    stop = threading.Event()
    with _told((signal.SIGTERM, signal.SIGINT), lambda number: stop.set()):
        yield stop


@contextmanager
def exit_on_term() -> Iterator[None]:
    """Leave the block by SystemExit at a SIGTERM, so that what it has opened is closed; else as above.

    Ctrl-C, a KeyboardInterrupt, is left as it is.
    """

    def leave(number: int) -> None:
        raise SystemExit(128 + number)

    with _told((signal.SIGTERM,), leave):
        yield


@contextmanager
def _told(numbers: Sequence[int], first: Callable[[int], None]) -> Iterator[None]:
    told_at: float | None = None

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal told_at
        now = time.monotonic()
        if told_at is None:
            told_at = now
            first(number)
        elif now - told_at >= AT_ONCE_SECONDS:
            os._exit(128 + number)

    previous = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
