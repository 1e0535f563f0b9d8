"""The gate decides, on the same held-out frames, whether a candidate may replace the live model.

Beside the live model there is a reference that only rises: the best that each figure ever was in a version
that went live. Without it thirty-five candidates, each a little worse than the last, lead from .95 to .60.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from steadyline.contracts.model_event import ModelEvent
from steadyline.line import GateSection

FLOOR = "certified_floor_auroc"
DAILY_LIMIT = "daily_limit"

# Floors that hold without a live model to compare with. A model that ranks pseudo-anomalies hardly better
# than chance has learned nothing. An attack that raises the AUROC is broken (masked gradients), and with it
# every robust figure. The slack of .02 is the standard error of an AUROC here. However well a model ranks, it
# is of no use when hardly a pseudo-anomaly passes its threshold.
CLEAN_FLOOR = 0.6
MASKING_SLACK = 0.02
LEAST_DETECTION = 0.1


@dataclass(frozen=True, slots=True)
class GateFigures:
    """One model on the gate's frames: AUROC clean, attacked at the gate's epsilon, and corrupted; and the
    share of pseudo-anomalies over the model's own threshold.

    ``hidden`` and ``raised`` are the attacked AUROC when only defects are hidden, or only false alarms are
    raised. A model of halves of which either may speak is judged ``by_hiding``: any of its halves can be
    made to alarm, and to hide a defect an attack must fool both. ``blind`` says why it sees next to nothing
    of defects at the camera's own pixels, None where it sees something or nobody could tell.
    """

    clean: float
    attacked: float
    corrupted: float
    detection: float
    hidden: float | None = None
    raised: float | None = None
    by_hiding: bool = False
    blind: str | None = None

    @property
    def numbers(self) -> dict[str, float]:
        """The figures that are known, by their field."""
        fields = {field: getattr(self, field) for field in NAMES}
        return {field: value for field, value in fields.items() if value is not None}

    def resists(self, by_hiding: bool) -> float:
        """Return the figure by which the robustness is judged: on the hiding side, or on both."""
        return self.hidden if by_hiding and self.hidden is not None else self.attacked


NAMES: Mapping[str, str] = {
    "clean": "clean_auroc",
    "attacked": "attacked_auroc",
    "corrupted": "corrupted_auroc",
    "detection": "detection_rate",
    "hidden": "hide_auroc",
    "raised": "raise_auroc",
}


@dataclass(frozen=True, slots=True)
class GateHistory:
    """What the gate let through before: the best of each figure by its name, and how many within a day."""

    best: Mapping[str, float]
    within_a_day: int

    @staticmethod
    def of(event: ModelEvent, now: datetime) -> "GateHistory":
        """Return the history that an event tells; the figures of a change say that the gate decided it.

        An event keeps its newest changes only, which refused orders fill at will, so the versions that it
        lists are counted as well.
        """
        passed = [
            change.at for change in event.changes if change.after == "live" and _candidate(change.figures)
        ]
        listed = [model.trained_at for model in event.models if model.state in ("live", "retired")]
        counts = (sum(abs(now - at) < timedelta(days=1) for at in times) for times in (passed, listed))
        return GateHistory(event.best, max(counts))


NO_HISTORY = GateHistory({}, 0)


def best_figures(event: ModelEvent, figures: Mapping[str, float]) -> dict[str, float]:
    """Return the best of each figure once a version with these figures of the gate has gone live."""
    candidate = _candidate(figures)
    names = event.best.keys() | candidate.keys()
    return {
        name: max(known[name] for known in (event.best, candidate) if name in known) for name in sorted(names)
    }


@dataclass(frozen=True, slots=True)
class Ruling:
    """The decision; ``reason`` starts with one fixed word, and ``figures`` go into the event unchanged."""

    accepted: bool
    reason: str
    figures: dict[str, float]


def rule(
    candidate: GateFigures,
    live: GateFigures | None,
    limits: GateSection,
    floor: float | None = None,
    history: GateHistory = NO_HISTORY,
) -> Ruling:
    """Return whether ``candidate`` may go live in place of ``live``, which is None when there is none yet.

    ``floor`` is the AUROC that the certified distance, fitted on the same normals, proves on the same frames
    under the same epsilon (None when it is not known). A model that an attack brings below this floor is
    worth less than a distance that learned nothing.
    """
    figures = _figures(candidate, live)
    if floor is not None and math.isfinite(floor):
        figures[FLOOR] = round(floor, 4)
    refusal = (
        _unsound(candidate, limits)
        or (_under(candidate, floor, limits) if floor is not None else None)
        or (_worse(candidate, live, limits) if live is not None else None)
        or _worse_than_ever(candidate, history.best, limits)
        or _too_many(history.within_a_day, limits)
    )
    if refusal is not None:
        return Ruling(False, refusal, figures)
    if live is None:
        return Ruling(
            True,
            f"first: clean {candidate.clean:.3f}, attacked {candidate.attacked:.3f}, "
            f"detection {candidate.detection:.3f}{_accepted(candidate)}",
            figures,
        )
    return Ruling(
        True,
        f"passed: clean {live.clean:.3f} → {candidate.clean:.3f}, "
        f"attacked {live.attacked:.3f} → {candidate.attacked:.3f}, "
        f"corrupted {live.corrupted:.3f} → {candidate.corrupted:.3f}, "
        f"detection {live.detection:.3f} → {candidate.detection:.3f}{_accepted(candidate)}",
        figures,
    )


def _accepted(candidate: GateFigures) -> str:
    """Return, for the reason of one that passed, that a person accepts it though it sees next to nothing."""
    blind = candidate.blind
    return "" if blind is None else f"; accepted though it sees next to nothing: {blind}"


def _unsound(candidate: GateFigures, limits: GateSection) -> str | None:
    values = tuple(candidate.numbers.values())
    if not all(math.isfinite(value) for value in values):
        return f"not_finite: figures are {values}"
    if candidate.clean < CLEAN_FLOOR:
        return f"clean_floor: clean AUROC {candidate.clean:.3f} is under {CLEAN_FLOOR}"
    if candidate.attacked > candidate.clean + MASKING_SLACK:
        return (
            f"masked_gradients: attacked AUROC {candidate.attacked:.3f} is above clean {candidate.clean:.3f}"
        )
    if candidate.blind is not None and not limits.accept_blind:
        return f"sees_nothing: {candidate.blind}"
    if candidate.detection < LEAST_DETECTION:
        return (
            f"blind_at_threshold: {candidate.detection:.3f} of the pseudo-anomalies pass the threshold, "
            f"{LEAST_DETECTION:g} are the least"
        )
    return None


def _under(candidate: GateFigures, floor: float, limits: GateSection) -> str | None:
    resisted = candidate.resists(candidate.by_hiding)
    if resisted >= floor - limits.floor_drop:
        return None
    return (
        f"under_certified_floor: attacked AUROC {resisted:.3f} is under the certified {floor:.3f}, "
        f"at most {limits.floor_drop:g} may be missing"
    )


def _worse(candidate: GateFigures, live: GateFigures, limits: GateSection) -> str | None:
    before, after = (one.resists(candidate.by_hiding) for one in (live, candidate))
    checks = (
        ("clean_worse", live.clean, candidate.clean, limits.clean_drop),
        ("robust_worse", before, after, limits.robust_drop),
        ("corrupted_worse", live.corrupted, candidate.corrupted, limits.robust_drop),
        ("detection_worse", live.detection, candidate.detection, limits.detection_drop),
    )
    for word, before, after, drop in checks:
        if not after >= before - drop:
            return f"{word}: {before:.3f} → {after:.3f}, at most {drop:g} may be lost"
    return None


def _worse_than_ever(candidate: GateFigures, best: Mapping[str, float], limits: GateSection) -> str | None:
    unjudged = ("attacked", "raised") if candidate.by_hiding else ("hidden", "raised")
    for field, found in candidate.numbers.items():
        name = NAMES[field]
        known = None if field in unjudged else best.get(name)
        drop = limits.total_drop + (limits.detection_drop if field == "detection" else 0)
        if known is not None and not found >= known - drop:
            return (
                f"drifted: {name} {found:.3f} is under the best that ever went live, {known:.3f}, "
                f"at most {drop:g} may be lost in all (gate.total_drop)"
            )
    return None


def _too_many(within_a_day: int, limits: GateSection) -> str | None:
    if within_a_day < limits.per_day:
        return None
    return (
        f"{DAILY_LIMIT}: {within_a_day} versions went live within a day, {limits.per_day} may; "
        "look at them, then promote this one by command"
    )


def _figures(candidate: GateFigures, live: GateFigures | None) -> dict[str, float]:
    return {
        f"{who}_{NAMES[field]}": round(value, 4)
        for who, measured in (("candidate", candidate), ("live", live))
        if measured is not None
        for field, value in measured.numbers.items()
        if math.isfinite(value)
    }


def _candidate(figures: Mapping[str, float]) -> dict[str, float]:
    """Return the candidate's figures among those of a ruling, by their names."""
    return {name: figures[f"candidate_{name}"] for name in NAMES.values() if f"candidate_{name}" in figures}
