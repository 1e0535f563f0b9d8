"""The watch: does the model in service still see known anomalies? Pure judgement of what it answered."""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# One-sided 99.9 % bound: sixteen frames that a 40 % detector misses by chance must not raise an alarm each
# day, while a model that misses all sixteen of a 90 % detector's is called blind in the first round.
CONFIDENCE_Z = 3.09
ROUNDS = 8  # rounds pooled before the oldest is forgotten
FALSE_ALARM_CEILING = 0.5  # a model that alarms on half of the normals sees nothing either


@dataclass(frozen=True, slots=True)
class MonitorRound:
    """Scores of one round: pseudo-anomalies by transform, and normals; and the model's threshold."""

    anomalies: Mapping[str, Sequence[float]]
    normals: Sequence[float]
    threshold: float

    def detection(self) -> dict[str, float]:
        """Return transform → fraction of its pseudo-anomalies above the threshold."""
        return {name: self._above(scores) for name, scores in sorted(self.anomalies.items()) if scores}

    def false_alarm_rate(self) -> float:
        """Return the fraction of normals above the threshold."""
        return self._above(self.normals)

    def detected(self) -> tuple[int, int]:
        """Return how many pseudo-anomalies were above the threshold, and of how many."""
        scores = [score for values in self.anomalies.values() for score in values]
        return sum(score > self.threshold for score in scores), len(scores)

    def is_finite(self) -> bool:
        """True when every score is a number."""
        return all(math.isfinite(score) for score in self._scores())

    def is_constant(self) -> bool:
        """True when every frame has the same score."""
        scores = self._scores()
        return max(scores) - min(scores) <= 1e-9 * max(1.0, abs(scores[0]))

    def _scores(self) -> list[float]:
        return [*self.normals, *(score for values in self.anomalies.values() for score in values)]

    def _above(self, scores: Sequence[float]) -> float:
        return sum(score > self.threshold for score in scores) / len(scores) if scores else 0.0


@dataclass(slots=True)
class DetectionMonitor:
    """Judges rounds of one version. ``floor`` is the share of ``expected`` under which it counts as blind.

    ``expected`` is the detection rate that the version showed on all held-out pseudo-anomalies when it was
    trained: a model that honestly finds 40 % at its threshold is not blind for finding 40 %.
    """

    expected: float
    floor: float
    blind: bool = False
    _rounds: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=ROUNDS))

    def judge(self, seen: MonitorRound) -> str | None:
        """Return why the model counts as blind after this round, None while it sees."""
        found, of = seen.detected()
        least = self.floor * self.expected
        self._rounds.append((found, of))
        reason = self._reason(seen, least)
        if reason is None and self.blind and found < least * of:
            reason = f"low_detection: still {found} of {of}, {least:.2f} of them are due"
        if reason is None and self.blind:
            self._rounds.clear()  # it sees again: the bad rounds say nothing of it any more
            self._rounds.append((found, of))
        self.blind = reason is not None
        return reason

    def _reason(self, seen: MonitorRound, least: float) -> str | None:
        if not seen.is_finite():
            return "not_finite: some score is not a number"
        if seen.is_constant():
            return "constant_scores: every frame has the same score"
        if seen.false_alarm_rate() >= FALSE_ALARM_CEILING:
            return f"alarms_on_normals: {seen.false_alarm_rate():.2f} of normals are over the threshold"
        found = sum(count for count, _ in self._rounds)
        of = sum(count for _, count in self._rounds)
        if highest_rate(found, of) < least:
            return f"low_detection: {found} of {of} pseudo-anomalies found, {least:.2f} of them are due"
        return None


def highest_rate(found: int, of: int) -> float:
    """Return the upper Wilson bound of a rate of which ``found`` of ``of`` were seen."""
    if of == 0:
        return 1.0
    rate, z2 = found / of, CONFIDENCE_Z**2
    spread = CONFIDENCE_Z * math.sqrt(rate * (1 - rate) / of + z2 / (4 * of * of))
    return (rate + z2 / (2 * of) + spread) / (1 + z2 / of)
