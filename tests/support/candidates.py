"""Candidates of a plan with the figures that a test wants."""

from steadyline.grid import DEFAULT_GRID, Grid
from trainer.planner.measured import Candidate, Measured
from trainer.sight import Sight


def a_measured_candidate(
    detector: str = "patch",
    grid: Grid = DEFAULT_GRID,
    *,
    ms: float = 5.0,
    auroc: float = 0.9,
    real: float | None = None,
    found: float = 0.5,
    raised: float = 0.9,
) -> Measured:
    """Return a candidate; ``auroc`` is of pseudo-anomalies, ``real`` of known defects."""
    evidence = [Sight("pseudo", auroc, found, 16, raised)]
    if real is not None:
        evidence.append(Sight("defects", real, found, 5))
    return Measured(Candidate(detector, grid), ms, 100.0, tuple(evidence), 0.01, 0.02, 0.4, 0.5, None, 10.0)
