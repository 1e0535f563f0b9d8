"""Judge, from its scores alone, whether the model in service still detects known anomalies. Pure."""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trainer.lifecycle.gate import LEAST_DETECTION

# One-sided 99.9 % bound. Sixteen frames that a model with 40 % detection misses by chance must not alarm
# every day, and a model that should detect 90 % and misses all sixteen must be called blind in the first
# round.
CONFIDENCE_Z = 3.09
POOLED = 128  # frames of the newest rounds that are pooled: enough to tell nothing from a tenth
FALSE_ALARM_CEILING = 0.5  # a model that alarms on half of the normals detects nothing either


@dataclass(frozen=True, slots=True)
class MonitorRound:
    """One round: scores of pseudo-anomalies by transform, scores of normals, and the model's threshold."""

    anomalies: Mapping[str, Sequence[float]]
    normals: Sequence[float]
    threshold: float

    def detection(self) -> dict[str, float]:
        """Return the fraction of pseudo-anomalies above the threshold, by transform."""
        return {name: self._above(scores) for name, scores in sorted(self.anomalies.items()) if scores}

    def false_alarm_rate(self) -> float:
        """Return the fraction of normals above the threshold."""
        return self._above(self.normals)

    def detected(self) -> tuple[int, int]:
        """Return how many pseudo-anomalies were above the threshold, and how many there were."""
        scores = [score for values in self.anomalies.values() for score in values]
        return sum(score > self.threshold for score in scores), len(scores)

    def is_finite(self) -> bool:
        """Tell whether every score is a number."""
        return all(math.isfinite(score) for score in self._scores())

    def is_constant(self) -> bool:
        """Tell whether every frame has the same score."""
        scores = self._scores()
        return max(scores) - min(scores) <= 1e-9 * max(1.0, abs(scores[0]))

    def _scores(self) -> list[float]:
        return [*self.normals, *(score for values in self.anomalies.values() for score in values)]

    def _above(self, scores: Sequence[float]) -> float:
        return sum(score > self.threshold for score in scores) / len(scores) if scores else 0.0


@dataclass(slots=True)
class DetectionMonitor:
    """Judges rounds of one version, which counts as blind below the share ``floor`` of ``expected``.

    ``expected`` is the detection rate of the version on all held-out pseudo-anomalies when it was trained. A
    model that honestly detects 40 % at its threshold is not blind for detecting 40 %. One that detects less
    than LEAST_DETECTION is blind, also when it was so from birth.
    """

    expected: float
    floor: float
    blind: bool = False
    _rounds: deque[tuple[int, int]] = field(default_factory=deque)

    def judge(self, seen: MonitorRound) -> str | None:
        """Return why the model counts as blind after this round, or None when it does not."""
        found, of = seen.detected()
        least = max(LEAST_DETECTION, self.floor * self.expected)  # in this order also for no number
        self._rounds.append((found, of))
        while sum(count for _, count in self._rounds) - self._rounds[0][1] >= POOLED:
            self._rounds.popleft()
        reason = self._reason(seen, least)
        if reason is None and self.blind and found < least * of:
            reason = f"low_detection: still {found} of {of}, {least:.2f} of them are due"
        if reason is None and self.blind:
            self._rounds.clear()  # it has recovered, so the bad rounds no longer count
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
    """Return the upper Wilson bound of a rate, given that ``found`` of ``of`` were found."""
    if of == 0:
        return 1.0
    rate, z2 = found / of, CONFIDENCE_Z**2
    spread = CONFIDENCE_Z * math.sqrt(rate * (1 - rate) / of + z2 / (4 * of * of))
    return (rate + z2 / (2 * of) + spread) / (1 + z2 / of)
