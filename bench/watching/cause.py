"""A cause of alerts: what is broken, and which alerts it must raise."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from bench.watching.line import ObservedLine

Act = Callable[[ObservedLine], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class Cause:
    """What is done to the line, for as long as ``act`` is entered, and the alerts that must come of it."""

    what: str
    act: Act
    alerts: frozenset[str]
