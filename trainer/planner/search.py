"""Which candidates a plan measures: cheap ones at every grid, dear ones where these see best."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from steadyline.grid import Grid
from trainer.planner.conclude import BOTH, FROZEN, ROBUST, by_preference
from trainer.planner.grids import is_settled, is_too_dear
from trainer.planner.measure import PlanMaterial, ShortTraining, cost_of, measure
from trainer.planner.measured import Candidate, Measured, keep, kept_file, read_kept
from trainer.progress import ReportProgress

MOST_GRIDS = 3  # grids of a detector that must be trained, where frozen features say which are worth it


@dataclass(frozen=True, slots=True)
class SearchLimits:
    """No graph may take more than ``budget_ms``, and no candidate is begun after ``minutes`` of computing."""

    budget_ms: float
    minutes: float


@dataclass(slots=True)
class Search:
    """Measures the candidates of a plan. ``digest`` is of all that their figures depend on.

    Frozen features are fitted in seconds and go first, from the smallest grid up, until a larger one is too
    dear or brings nothing. Detectors that must be trained are then tried at the grids at which these see
    best; where frozen features are not asked for, from the smallest grid up as well. ``untried`` are the
    candidates that the time was spent before.
    """

    out: Path
    digest: str
    material: PlanMaterial
    how: ShortTraining
    limits: SearchLimits
    on_progress: ReportProgress
    found: list[Measured] = field(default_factory=list)
    untried: list[Candidate] = field(default_factory=list)
    _began: float = field(default_factory=time.process_time)

    def over(self, grids: Sequence[Grid], detectors: Sequence[str]) -> list[Measured]:
        """Return what was measured, in that order."""
        ordered = sorted(detectors, key=lambda name: name != FROZEN)
        for number, name in enumerate(ordered):
            self.on_progress("plan", number, len(ordered))
            preferred = preferred_grids(name, self.found, self.limits.budget_ms)
            if not preferred:
                self._from_the_smallest(name, grids)
            elif not is_needless(name, self.found, self.limits.budget_ms, bool(self.material.defects)):
                self._at(name, preferred)
        self.on_progress("plan", len(ordered), len(ordered))
        return self.found

    def _from_the_smallest(self, name: str, grids: Sequence[Grid]) -> None:
        for grid in grids:
            own = self._of(name)
            costs = {one.candidate.grid: one.p99_ms for one in own}
            if is_settled([one.judged.auroc for one in own]):
                return
            if not is_too_dear(costs, grid, self.limits.budget_ms):
                self._try(Candidate(name, grid))

    def _at(self, name: str, grids: Sequence[Grid]) -> None:
        for grid in grids:
            candidate = Candidate(name, grid)
            if len(self._of(name)) == MOST_GRIDS:
                return
            if self._kept(candidate) is not None or self._is_affordable(candidate):
                self._try(candidate)

    def _is_affordable(self, candidate: Candidate) -> bool:
        """Tell whether a graph is within the budget, before it is trained: weights cost nothing."""
        if self._is_late(candidate):
            return False
        with TemporaryDirectory(dir=self.out) as work:
            cost = cost_of(candidate, self.material, self.how, Path(work))
        return cost.p99_ms <= self.limits.budget_ms

    def _try(self, candidate: Candidate) -> None:
        kept = self._kept(candidate)
        if kept is not None:
            self.found.append(kept)
        elif not self._is_late(candidate):
            with TemporaryDirectory(dir=self.out) as work:
                measured = measure(
                    candidate,
                    self.material,
                    self.how,
                    Path(work),
                    lambda done, of: self.on_progress(candidate.name, done, of),
                )
            keep(kept_file(self.out, candidate, self.digest), measured)
            self.found.append(measured)

    def _kept(self, candidate: Candidate) -> Measured | None:
        return read_kept(kept_file(self.out, candidate, self.digest))

    def _is_late(self, candidate: Candidate) -> bool:
        """Tell whether the time is spent, and note the candidate that it was spent before."""
        if time.process_time() - self._began <= self.limits.minutes * 60:
            return False
        self.untried.append(candidate)
        return True

    def _of(self, name: str) -> list[Measured]:
        return [one for one in self.found if one.candidate.detector == name]


def preferred_grids(name: str, found: Sequence[Measured], budget_ms: float) -> list[Grid]:
    """Return the grids for a detector that must be trained, best first, by what frozen features see at each.

    Empty for frozen features themselves, and where none of theirs is within the budget.
    """
    frozen = [one for one in found if one.candidate.detector == FROZEN and one.p99_ms <= budget_ms]
    return [] if name == FROZEN else [one.candidate.grid for one in by_preference(frozen)]


def is_needless(name: str, found: Sequence[Measured], budget_ms: float, are_defects_known: bool) -> bool:
    """Tell whether nothing that is measured of a detector could make it be taken.

    Without known defects both halves are taken wherever the budget allows them, whatever one alone has.
    """
    both = [one for one in found if one.candidate.detector == BOTH and one.blind is None]
    return name == ROBUST and not are_defects_known and any(one.p99_ms <= budget_ms for one in both)
