"""Progress of a training: how far it is over all its phases, and as plain log lines with the time left."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from steadyline.clock import Clock

EVERY_SECONDS = 10.0  # a phase gets one line when it begins, and one per this interval

# The share of a whole training that each phase takes; a bank that exists already takes no time.
PHASES = {
    "bank": (0.0, 0.1),
    "fit": (0.1, 0.85),
    "export": (0.85, 0.87),
    "calibrate": (0.87, 0.9),
    "measure": (0.9, 0.94),
    "measure_live": (0.94, 0.98),
    "floor": (0.98, 1.0),
}

ReportProgress = Callable[[str, int, int], None]  # phase, done, of


@dataclass(frozen=True, slots=True)
class Progress:
    """What a training is doing; ``phase`` is one of PHASES, or "start"."""

    phase: str
    done: int
    total: int

    @property
    def ratio(self) -> float:
        """How much of the training is done, 0 to 1."""
        begins, ends = PHASES.get(self.phase, (0.0, 0.0))
        return begins + (ends - begins) * (self.done / self.total if self.total else 0.0)


class ProgressLines:
    """Writes the progress of a phase, rarely enough for a log."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began: dict[str, tuple[float, int]] = {}  # phase → when it began here, how far it was
        self._done: dict[str, int] = {}  # phase → how far it is
        self._said = -EVERY_SECONDS

    def line(self, phase: str, done: int, total: int) -> str | None:
        """Return the line to print now, or None; a phase whose count falls counts as started again."""
        now = self._clock.monotonic()
        is_new = done < self._done.get(phase, total + 1)
        self._done[phase] = done
        if is_new:
            self._began[phase] = (now, done)
        began, first = self._began[phase]
        ends = done == total and total > 1
        if now - self._said < EVERY_SECONDS and not ends and not is_new:
            return None
        self._said = now
        moved = done - first
        left = timedelta(seconds=round((now - began) / moved * (total - done))) if moved > 0 else None
        return f"{phase} {done}/{total}" + ("" if left is None or ends else f", {left} left")
