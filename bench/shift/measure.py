"""Measures the cells of one subject, as they are and behind a station calibration; each cell is kept on
disk.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.robustness.result_cache import ResultCache
from bench.shift.cells import UNSHIFTED, Cell
from bench.shift.subject import Scores, ShiftedModel
from steadyline.correction import corrected
from steadyline.station import corrections
from steadyline.station_choice import StationCandidate, candidates_of, choose
from trainer.arrays import Pictures
from trainer.evaluation.auroc import auroc
from trainer.evaluation.corruption_figures import corrupted


@dataclass(frozen=True, slots=True)
class StationPlan:
    """The stations of a cell: ``draws`` times ``pictures`` frames, of which ``defective`` are."""

    defective: tuple[int, ...] = (0, 4)
    draws: int = 1
    pictures: int = 8


def measure_cells(
    subject: ShiftedModel, cells: Sequence[Cell], plan: StationPlan, kept: ResultCache
) -> dict[str, dict[str, Any]]:
    """Return the figures of the unshifted set and of each cell by its name; what is kept is not made again.

    Each has ``false_alarms``, ``recall`` and ``auroc``, and ``stations``: for each drawn station how many of
    its pictures were defective, what was chosen, and false alarms and recall of the pictures that it did not
    see.
    """
    return {
        cell.name: kept.value(cell.name, partial(measure_cell, subject, cell, plan))
        for cell in [Cell(UNSHIFTED), *cells]
    }


def measure_cell(subject: ShiftedModel, cell: Cell, plan: StationPlan) -> dict[str, Any]:
    """Return the figures of one cell."""
    test = subject.test
    shown = test.pictures if cell.kind == UNSHIFTED else corrupted(test, cell.kind, cell.severity, "native")
    scores, places = subject.scores(shown), np.arange(len(shown))
    return {
        **rates(scores, test.anomalous, subject.threshold, places),
        "auroc": round(auroc(scores, test.anomalous), 4),
        "stations": [
            station(subject, shown, scores, draw_pictures(test.anomalous, plan.pictures, bad, turn))
            | {"defective": bad}
            for bad in plan.defective
            for turn in range(plan.draws)
        ],
    }


def station(
    subject: ShiftedModel, shown: Pictures, scores: Scores, drawn: NDArray[np.intp]
) -> dict[str, Any]:
    """Return what a station calibration from the pictures at ``drawn`` makes of the others."""
    found = corrections(subject.reference, shown[drawn])
    behind = [(kind, one, subject.scores(corrected(one, shown[drawn]))) for kind, one in found.items()]
    taken = choose(candidates_of(scores[drawn], behind, subject.normals), subject.normals.tolist()).chosen
    after = scores if taken.kind in (None, "shift") else _behind(subject, shown, taken)
    others = np.setdiff1d(np.arange(len(shown)), drawn)
    threshold = subject.threshold + taken.threshold_shift
    return {"kind": taken.kind or "none", **rates(after, subject.test.anomalous, threshold, others)}


def rates(
    scores: Scores, anomalous: NDArray[np.bool_], threshold: float, places: NDArray[np.intp]
) -> dict[str, float]:
    """Return the shares of good and of defective pictures among ``places`` that are above the threshold."""
    above, bad = scores[places] > threshold, anomalous[places]
    return {
        "false_alarms": round(float(above[~bad].mean()), 4),
        "recall": round(float(above[bad].mean()), 4),
    }


def draw_pictures(anomalous: NDArray[np.bool_], count: int, defective: int, turn: int) -> NDArray[np.intp]:
    """Return the places of a station's pictures, the same for each model and shift."""
    random = np.random.default_rng([7, defective, turn])
    good = random.choice(np.flatnonzero(~anomalous), count - defective, replace=False)
    return np.concatenate([good, random.choice(np.flatnonzero(anomalous), defective, replace=False)])


def _behind(subject: ShiftedModel, shown: Pictures, taken: StationCandidate) -> Scores:
    return subject.scores(corrected(taken.correction, shown))
