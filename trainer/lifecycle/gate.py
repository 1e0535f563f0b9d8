"""The gate decides, on the same held-out frames, whether a candidate may replace the live model."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from steadyline.line import GateSection

CLEAN, ATTACKED, CORRUPTED = "clean_auroc", "attacked_auroc", "corrupted_auroc"
FLOOR = "certified_floor_auroc"

# Floors that hold without a live model to compare with. A model that ranks pseudo-anomalies hardly better
# than chance has learned nothing. An attack that raises the AUROC is broken (masked gradients), and with it
# every robust figure. The slack of .02 is the standard error of an AUROC here.
CLEAN_FLOOR = 0.6
MASKING_SLACK = 0.02


@dataclass(frozen=True, slots=True)
class GateFigures:
    """AUROC of one model on the gate's frames: clean, attacked at the gate's epsilon, and corrupted."""

    clean: float
    attacked: float
    corrupted: float


@dataclass(frozen=True, slots=True)
class Ruling:
    """The decision; ``reason`` starts with one fixed word, and ``figures`` go into the event unchanged."""

    accepted: bool
    reason: str
    figures: dict[str, float]


def rule(
    candidate: GateFigures, live: GateFigures | None, limits: GateSection, floor: float | None = None
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
        _unsound(candidate)
        or (_under(candidate, floor, limits) if floor is not None else None)
        or (_worse(candidate, live, limits) if live is not None else None)
    )
    if refusal is not None:
        return Ruling(False, refusal, figures)
    if live is None:
        return Ruling(True, f"first: clean {candidate.clean:.3f}, attacked {candidate.attacked:.3f}", figures)
    return Ruling(
        True,
        f"passed: clean {live.clean:.3f} → {candidate.clean:.3f}, "
        f"attacked {live.attacked:.3f} → {candidate.attacked:.3f}, "
        f"corrupted {live.corrupted:.3f} → {candidate.corrupted:.3f}",
        figures,
    )


def _unsound(candidate: GateFigures) -> str | None:
    values = (candidate.clean, candidate.attacked, candidate.corrupted)
    if not all(math.isfinite(value) for value in values):
        return f"not_finite: figures are {values}"
    if candidate.clean < CLEAN_FLOOR:
        return f"clean_floor: clean AUROC {candidate.clean:.3f} is under {CLEAN_FLOOR}"
    if candidate.attacked > candidate.clean + MASKING_SLACK:
        return (
            f"masked_gradients: attacked AUROC {candidate.attacked:.3f} is above clean {candidate.clean:.3f}"
        )
    return None


def _under(candidate: GateFigures, floor: float, limits: GateSection) -> str | None:
    if candidate.attacked >= floor - limits.floor_drop:
        return None
    return (
        f"under_certified_floor: attacked AUROC {candidate.attacked:.3f} is under the certified {floor:.3f}, "
        f"at most {limits.floor_drop:g} may be missing"
    )


def _worse(candidate: GateFigures, live: GateFigures, limits: GateSection) -> str | None:
    checks = (
        ("clean_worse", live.clean, candidate.clean, limits.clean_drop),
        ("robust_worse", live.attacked, candidate.attacked, limits.robust_drop),
        ("corrupted_worse", live.corrupted, candidate.corrupted, limits.robust_drop),
    )
    for word, before, after, drop in checks:
        if after < before - drop:
            return f"{word}: {before:.3f} → {after:.3f}, at most {drop:g} may be lost"
    return None


def _figures(candidate: GateFigures, live: GateFigures | None) -> dict[str, float]:
    named: Mapping[str, GateFigures | None] = {"candidate": candidate, "live": live}
    return {
        f"{who}_{word}": round(value, 4)
        for who, measured in named.items()
        if measured is not None
        for word, value in (
            (CLEAN, measured.clean),
            (ATTACKED, measured.attacked),
            (CORRUPTED, measured.corrupted),
        )
        if math.isfinite(value)
    }
