"""Turn a raw score and its map into p-value, verdict and peak. Pure: numbers in, numbers out.

The p-value is split conformal (Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005):
with n held-out normal scores it is (1 + those at least as high) / (n + 1). A normal frame that is
exchangeable with them has a p-value of at most u with probability at most u.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from steadyline.contracts.model_event import PRODUCT_WIDE, Calibration, Model
from steadyline.contracts.score import Peak, Verdict
from steadyline.errors import ContractBroken, UnscorableFrame
from steadyline.inference import Floats


@dataclass(frozen=True, slots=True)
class Judgement:
    """What follows from one answer of the model."""

    score: float
    p_value: float
    threshold: float
    verdict: Verdict
    peak: Peak


def score_frame(score: float, anomaly_map: Floats, calibration: Calibration) -> Judgement:
    """Return the judgement of a raw score and its map (h, w) float32.

    A score *above* the threshold is anomalous. Raises UnscorableFrame when score or map is not finite.
    """
    if not math.isfinite(score) or not np.isfinite(anomaly_map).all():
        raise UnscorableFrame(f"the model answers with the score {score} and a map up to {anomaly_map.max()}")
    verdict: Verdict = "anomalous" if score > calibration.threshold else "normal"
    likelihood = p_value(score, calibration.scores)
    return Judgement(score, likelihood, calibration.threshold, verdict, find_peak(anomaly_map))


def p_value(score: float, normals: Sequence[float]) -> float:
    """Return the conformal p-value of ``score`` among ``normals`` (ascending), in (0, 1]."""
    at_least_as_high = len(normals) - bisect_left(normals, score)
    return (1 + at_least_as_high) / (len(normals) + 1)


def find_peak(anomaly_map: Floats) -> Peak:
    """Return the centre of the highest cell in fractions of the frame; of equal cells the first counts."""
    height, width = anomaly_map.shape
    row, column = divmod(int(anomaly_map.argmax()), width)
    return Peak(x=(column + 0.5) / width, y=(row + 0.5) / height, value=float(anomaly_map[row, column]))


def calibration_of(camera: str, calibrations: Mapping[str, Calibration]) -> Calibration:
    """Return the camera's own calibration, or that of the product."""
    return calibrations.get(camera) or calibrations[PRODUCT_WIDE]


def check_usable(model: Model) -> None:
    """Raise ContractBroken when a model cannot be scored with, before it is used at all."""
    if PRODUCT_WIDE not in model.calibrations:
        raise ContractBroken(f"version {model.version} has no product-wide calibration ('*')")
    for camera, calibration in model.calibrations.items():
        if not math.isfinite(calibration.threshold) or not all(map(math.isfinite, calibration.scores)):
            raise ContractBroken(f"version {model.version}: the calibration of {camera!r} is not finite")
        if calibration.scores != sorted(calibration.scores):
            raise ContractBroken(f"version {model.version}: the scores of {camera!r} are not ascending")
