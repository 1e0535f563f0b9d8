"""Tells of work that is held for long: the service is not ready then, and the log says why once a minute."""

from dataclasses import dataclass
from datetime import timedelta

from steadyline.clock import Clock
from steadyline.telemetry.health import ServiceHealth
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

LONG = timedelta(seconds=10)  # shorter holds are the daily life of a line: a restart, a swap, a rebalance
SAY_EVERY = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Held:
    """Why work waits: the one word of metrics and logs, and the message of what was met last."""

    reason: str
    error: str = ""


@dataclass(slots=True)
class _Hold:
    began: float
    said: float | None = None


class HoldWatch:
    """Is told on every turn what holds each part of a service; used from one thread."""

    def __init__(self, health: ServiceHealth, clock: Clock) -> None:
        self._health, self._clock = health, clock
        self._holds: dict[str, _Hold] = {}

    def note(self, part: str, held: Held | None) -> None:
        """Note what holds ``part`` now; None when nothing does."""
        now = self._clock.monotonic()
        if held is None:
            self._ended(part, now)
            return
        hold = self._holds.setdefault(part, _Hold(now))
        seconds = now - hold.began
        if seconds < LONG.total_seconds():
            return
        self._health.set_ready(part, False, held.reason)
        if hold.said is None or now - hold.said >= SAY_EVERY.total_seconds():
            hold.said = now
            log.warning("held", part=part, reason=held.reason, error=held.error, seconds=round(seconds))

    def _ended(self, part: str, now: float) -> None:
        hold = self._holds.pop(part, None)
        if hold is not None and hold.said is not None:
            self._health.set_ready(part, True)
            log.info("hold_ended", part=part, seconds=round(now - hold.began))
