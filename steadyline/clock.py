"""Time as a dependency: the system's clock, and a clock that tests move by hand."""

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Wall time, monotonic time and an interruptible wait."""

    def now(self) -> datetime:
        """Return the current time in UTC, timezone-aware."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        ...

    def wait(self, stop: threading.Event, duration: timedelta) -> bool:
        """Wait until ``stop`` is set or ``duration`` is over; return True when ``stop`` is set."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, stop: threading.Event, duration: timedelta) -> bool:
        return stop.wait(max(0.0, duration.total_seconds()))


class ManualClock:
    """A clock that moves only when advanced; a wait advances it at once."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._monotonic = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def wait(self, stop: threading.Event, duration: timedelta) -> bool:
        self.advance(duration)
        return stop.is_set()

    def set(self, now: datetime) -> None:
        """Set the wall clock, as an operator or a time server does; the monotonic one goes on from where it
        was.
        """
        self._now = now

    def advance(self, duration: timedelta) -> None:
        """Move both times forward by ``duration``."""
        self._now += duration
        self._monotonic += duration.total_seconds()
