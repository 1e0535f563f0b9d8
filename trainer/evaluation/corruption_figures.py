"""What natural corruptions do to a model: its AUROC, and what an operator feels, false alarms and misses."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from steadyline.grid import Grid
from steadyline.prepare import prepare
from trainer.arrays import Pictures
from trainer.data.mvtec import TestSet
from trainer.evaluation.auroc import auroc
from trainer.evaluation.corruption import Severity
from trainer.evaluation.light import SHIFTS
from trainer.evaluation.subject import Scores

ScorePictures = Callable[[Pictures], Scores]  # (N, H, W, C) uint8 → (N,)
SeverityFigures = dict[str, dict[str, float]]  # severity → name of the figure → figure


@dataclass(frozen=True, slots=True)
class CorruptionSettings:
    """How severe corruptions are, and whether they change the camera's pictures or the model's input."""

    severities: tuple[Severity, ...] = (2,)
    at: Literal["input", "native"] = "input"


def corruption_figures(
    score: ScorePictures, test: TestSet, name: str, settings: CorruptionSettings, threshold: float | None
) -> SeverityFigures:
    """Return, by severity, the AUROC under the corruption ``name``, of all test pictures.

    With a ``threshold`` the rates of false alarms and misses are there too.
    """
    found: SeverityFigures = {}
    for severity in settings.severities:
        scores = score(corrupted(test, name, severity, settings.at))
        figures = {"auroc": round(auroc(scores, test.anomalous), 4)}
        if threshold is not None:
            figures |= error_rates(scores, test.anomalous, threshold)
        found[str(severity)] = figures
    return found


def error_rates(scores: Scores, anomalous: NDArray[np.bool_], threshold: float) -> dict[str, float]:
    """Return the share of normals above the threshold and of anomalies not above it."""
    alarms = scores > threshold
    return {
        "false_alarms": round(float(alarms[~anomalous].mean()), 4),
        "misses": round(float((~alarms[anomalous]).mean()), 4),
    }


def corrupted(test: TestSet, name: str, severity: Severity, at: Literal["input", "native"]) -> Pictures:
    """Return the pictures as the model gets them under one of SHIFTS.

    Native ones, which the set must come with then, are changed as the camera's 8 bits and prepared as a frame
    is.
    """
    corrupt = SHIFTS[name]
    if at == "input":
        return corrupt(test.pictures, severity)
    assert test.native is not None, "the test set comes with its native pictures"
    grid, depth = Grid(*test.pictures.shape[1:3]), test.pictures.shape[3]
    rows = [
        prepare(corrupt(picture[None], severity)[0], grid, "gray" if depth == 1 else "rgb")
        for picture in test.native
    ]
    return np.stack(rows)
