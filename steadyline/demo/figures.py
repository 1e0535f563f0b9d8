"""Compute the figures of a run from its scores and events alone."""

from collections.abc import Sequence
from datetime import datetime

from steadyline.contracts.model_event import ModelEvent
from steadyline.contracts.score import Score
from steadyline.demo.plan import SWAP_WINDOW


def percentile(values: Sequence[float], fraction: float) -> float | None:
    """Return the nearest-rank percentile, or None when there are no values."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]


def latency_ms(score: Score) -> float:
    """Return the milliseconds from capture to score."""
    return (score.scored_at - score.captured_at).total_seconds() * 1000


def latencies(scores: Sequence[Score]) -> dict[str, float | None]:
    """Return p50 and p99 of capture-to-score in milliseconds."""
    values = [latency_ms(score) for score in scores]
    return {"p50": _rounded(percentile(values, 0.50)), "p99": _rounded(percentile(values, 0.99))}


def swap_figures(event: ModelEvent, scores: Sequence[Score], failed_requests: int) -> dict[str, object]:
    """Return what became of the second version, swapped in or refused, and its effect on the line."""
    decisions = [
        change for change in event.changes if change.version > 1 and change.after in ("live", "rejected")
    ]
    if not decisions:
        return {"from_version": 1, "to_version": None, "accepted": False, "reason": "no decision was made"}
    decision = decisions[-1]
    during, outside = split_by_window(scores, decision.at)
    return {
        "from_version": 1,
        "to_version": decision.version,
        "accepted": decision.after == "live",
        "reason": decision.reason,
        "failed_requests": failed_requests,
        "p99_ms_during": _rounded(percentile([latency_ms(score) for score in during], 0.99)),
        "p99_ms_outside": _rounded(percentile([latency_ms(score) for score in outside], 0.99)),
    }


def split_by_window(scores: Sequence[Score], moment: datetime) -> tuple[list[Score], list[Score]]:
    """Return the scores made within SWAP_WINDOW of ``moment``, and the others."""
    during = [score for score in scores if abs(score.scored_at - moment) <= SWAP_WINDOW]
    outside = [score for score in scores if abs(score.scored_at - moment) > SWAP_WINDOW]
    return during, outside


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
