"""What the figures of all candidates say: which to take, in one sentence, and what to say beside it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steadyline.grid import Grid
from trainer.planner.grids import LEAST_LEFT, predicted_ms, visible_from
from trainer.planner.look import COARSEST_BOUND
from trainer.planner.measured import Measured

BOTH = "either"  # both halves in one graph: what frozen features find, and what a net under attack finds
FROZEN, ROBUST = "patch", "robust"
TOLD_APART = 0.02  # of an AUROC: less is chance with some forty pictures

# Without labels nobody can rank detectors. Of those that do not look blind the one that was least often wrong
# comes first: both halves, then frozen features, then the net (docs/plan.md).
_UNLABELLED = (BOTH, FROZEN, ROBUST)


@dataclass(frozen=True, slots=True)
class Situation:
    """What a plan knows beside the candidates' figures.

    ``left`` is what each grid leaves of the defects, of 1, of grids beyond the budget too; ``side`` is the
    size of these in pixels, None where nobody told one. ``bound`` is the false-alarm rate that the held-out
    normals bound. ``untried`` are the candidates that the time was spent before.
    """

    budget_ms: float
    wanted_rate: float
    bound: float
    held_out: int
    side: int | None
    left: Mapping[Grid, float]
    real_defects: int
    untried: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The candidate to take, None where the budget allows none; one sentence; and what must be said beside.

    ``is_blind`` is true where no candidate within the budget sees more than next to nothing, the one that is
    taken included: a person who knows better has its block all the same.
    """

    taken: Measured | None
    sentence: str
    notes: tuple[str, ...]
    is_blind: bool


def conclude(measured: Sequence[Measured], situation: Situation) -> Conclusion:
    """Return what to take of the candidates, and why."""
    affordable = [one for one in measured if one.p99_ms <= situation.budget_ms]
    seeing = [one for one in affordable if one.blind is None]
    taken = _taken(seeing or affordable, situation)
    notes = [*_of_evidence(taken, seeing, situation), *_of_resolution(measured, situation)]
    if situation.bound > max(COARSEST_BOUND, situation.wanted_rate):
        notes.append(
            f"{situation.held_out} held-out normals bound the false-alarm rate at {situation.bound:.1%}, no "
            f"better than {COARSEST_BOUND:.0%}: {_needed(situation.wanted_rate)} are needed for the wanted "
            f"{situation.wanted_rate:.1%}, five times as many good pictures in all"
        )
    if situation.untried:
        notes.append(
            f"the time was spent before {', '.join(situation.untried)}: start the same command again with "
            "more --minutes, and it goes on"
        )
    notes += [
        f"{one.candidate.name} sees next to nothing and must not go live: {one.blind}"
        for one in affordable
        if one.blind is not None
    ]
    return Conclusion(taken, _sentence(taken, measured, situation), tuple(notes), not seeing)


def _taken(choice: Sequence[Measured], situation: Situation) -> Measured | None:
    if not choice:
        return None
    if situation.real_defects:
        best = max(one.judged.auroc for one in choice)
        near = [one for one in choice if one.judged.auroc >= best - TOLD_APART]
        return min(near, key=lambda one: (_rank(one), one.p99_ms))
    first = min(map(_rank, choice))
    return by_preference([one for one in choice if _rank(one) == first])[0]


def by_preference(measured: Sequence[Measured]) -> list[Measured]:
    """Return one detector's candidates, the one to take first.

    Of those that known defects do not tell apart from the best the cheapest comes first, and of those that
    pseudo-anomalies do not tell apart the finest: these are too strict to show what a finer grid brings
    (docs/plan.md).
    """
    left, ordered = list(measured), []
    while left:
        best = max(one.judged.auroc for one in left)
        near = [one for one in left if one.judged.auroc >= best - TOLD_APART]
        ordered.append(min(near, key=_cost_or_coarseness))
        left.remove(ordered[-1])
    return ordered


def _cost_or_coarseness(one: Measured) -> float:
    return one.p99_ms if one.judged.evidence == "defects" else -one.candidate.grid.pixels


def _rank(one: Measured) -> int:
    name = one.candidate.detector
    return _UNLABELLED.index(name) if name in _UNLABELLED else len(_UNLABELLED)


def _sentence(taken: Measured | None, measured: Sequence[Measured], situation: Situation) -> str:
    if taken is not None:
        if taken.blind is not None:
            return (
                "No candidate within the budget sees more than next to nothing: none should go live. Of "
                f"these {taken.candidate.name} would be taken."
            )
        sight = taken.judged
        what = "known defects" if sight.evidence == "defects" else "pseudo-anomalies"
        return (
            f"Take {taken.candidate.detector} at {taken.candidate.grid}: {taken.p99_ms:.1f} ms of the "
            f"{situation.budget_ms:g} allowed, AUROC {sight.auroc:.2f} on {sight.count} {what}, "
            f"{sight.found:.0%} of them found at a threshold that bounds false alarms at "
            f"{situation.bound:.1%}."
        )
    if measured:
        least = min(one.p99_ms for one in measured)
        return f"Nothing fits {situation.budget_ms:g} ms: the cheapest candidate takes {least:.1f} ms."
    return "No candidate was measured: every grid was ruled out before."


def _of_evidence(taken: Measured | None, seeing: Sequence[Measured], situation: Situation) -> list[str]:
    notes = []
    if situation.real_defects:
        notes.append(
            f"candidates are ranked by {situation.real_defects} known defects; with so many, an AUROC is off "
            f"by up to {0.5 / situation.real_defects**0.5:.2f}, and no other kind of defect was asked for"
        )
    else:
        notes.append(
            "there are no known defects: pseudo-anomalies tell a blind model from one that sees, and do not "
            "rank detectors; a handful of real defects (--defects) would"
        )
    if taken is None or situation.real_defects:
        return notes
    halves = {one.candidate.detector for one in seeing}
    if taken.candidate.detector == BOTH:
        notes.append("both halves are taken, because without labels nobody can tell which one sees")
    elif {FROZEN, ROBUST} <= halves and not situation.untried:
        notes.append(
            f"both halves together are not within the budget, so {taken.candidate.detector} is taken alone"
        )
    if taken.candidate.detector == FROZEN:
        notes.append(
            "patch is not made to withstand an attack: whoever can change pictures can hide a defect"
        )
    return notes


def _of_resolution(measured: Sequence[Measured], situation: Situation) -> list[str]:
    """Return what the grids leave of the defects, and which budget would show one that none leaves."""
    if not situation.left:
        return []
    what = "a defect" if situation.side is None else f"a defect of {situation.side} pixels"
    visible = visible_from(situation.left)
    if visible is None:
        return [f"{what} is averaged away at every grid up to the camera's own: take a finer camera or view"]
    detectors = {one.candidate.detector for one in measured}
    costs = {
        name: {m.candidate.grid: m.p99_ms for m in measured if m.candidate.detector == name}
        for name in detectors
    }
    expected = [
        ms for own in costs.values() if (ms := own.get(visible) or predicted_ms(own, visible)) is not None
    ]
    least = min(expected, default=None)
    if least is not None and least > situation.budget_ms:
        return [
            f"{what} is averaged away at every grid within {situation.budget_ms:g} ms (under "
            f"{LEAST_LEFT * 255:.0f}/255 of its contrast is left); {visible} shows it, in some {least:.0f} ms"
        ]
    smallest = min(situation.left, key=lambda grid: grid.pixels)
    if visible == smallest:
        return [f"resolution is not the problem: {visible}, the smallest grid, leaves enough of {what}"]
    return [f"{what} is averaged away below {visible}"]


def _needed(rate: float) -> int:
    return round(1 / rate) - 1
