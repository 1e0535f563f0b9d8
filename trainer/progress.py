"""Progress as plain lines, for logs and pipes: one a phase and one every ten seconds, with the time left."""

from datetime import timedelta

from steadyline.clock import Clock

EVERY_SECONDS = 10.0


class ProgressLines:
    """Says how far a phase is, seldom enough for a log."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began: dict[str, tuple[float, int]] = {}  # phase → when it began here, how far it was
        self._done: dict[str, int] = {}  # phase → how far it is
        self._said = -EVERY_SECONDS

    def line(self, phase: str, done: int, total: int) -> str | None:
        """Return the line to print now; None most of the time. A phase that goes back has begun anew."""
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
