"""SIGTERM and SIGINT as a request to end in order, and a later one like it as an order to end at once."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

AT_ONCE_SECONDS = 1.0  # `make`, `timeout` and a terminal each pass on one and the same request


def nothing() -> None:
    """Do nothing."""


@contextmanager
def stop_on_signals(at_once: Callable[[], None] = nothing) -> Iterator[threading.Event]:
    """Yield an event that SIGTERM or SIGINT sets; the same signal again, AT_ONCE_SECONDS later or more, exits
    with 128 + its number.

    SIGTERM after SIGINT is no impatience: Ctrl-C reaches all processes of a terminal, and the parent among
    them then ends its children one after another. ``at_once`` is called right before such an exit, in the
    middle of whatever the main thread does: it ends what would outlive the process, and waits for nobody.

    Whoever else sets the event, as a task does that fails, has sent no signal: the first one then changes
    nothing, and the service still ends in order.
    """
    stop = threading.Event()
    with _told((signal.SIGTERM, signal.SIGINT), lambda number: stop.set(), at_once):
        yield stop


@contextmanager
def exit_on_term() -> Iterator[None]:
    """Leave the block by SystemExit at a SIGTERM, so that what it has opened is closed; else as above.

    Ctrl-C, a KeyboardInterrupt, is left as it is.
    """

    def leave(number: int) -> None:
        raise SystemExit(128 + number)

    with _told((signal.SIGTERM,), leave, nothing):
        yield


@contextmanager
def _told(
    numbers: Sequence[int], first: Callable[[int], None], at_once: Callable[[], None]
) -> Iterator[None]:
    told_at: dict[int, float] = {}

    def handle(number: int, _frame: FrameType | None) -> None:
        now, is_first = time.monotonic(), not told_at
        if now - told_at.setdefault(number, now) >= AT_ONCE_SECONDS:
            try:
                at_once()
            finally:
                os._exit(128 + number)
        if is_first:
            first(number)

    previous = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
