"""A cause of alerts: what is broken, and which alerts it must raise."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from bench.watching.line import ObservedLine

Act = Callable[[ObservedLine], AbstractContextManager[object]]
PREFIX = "Steadyline"  # of the name of every alert


@dataclass(frozen=True, slots=True)
class Cause:
    """What is done to the line, for as long as ``act`` is entered, and the alerts that must come of it.

    ``afterwards`` are those that come when it is over: what was held back meanwhile is late. The others may
    take ``within`` seconds.
    """

    what: str
    act: Act
    alerts: frozenset[str]
    afterwards: frozenset[str] = frozenset()
    within: float = 120.0

    @property
    def every(self) -> frozenset[str]:
        """All alerts that must come of it."""
        return self.alerts | self.afterwards


def named(*alerts: str) -> frozenset[str]:
    """Return the names of alerts that are given without what all of them begin with."""
    return frozenset(PREFIX + alert for alert in alerts)
