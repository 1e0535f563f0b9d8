"""Turn a raw score and its map into p-value, verdict, peak and certified margin. Pure: numbers in and out.

The p-value is split conformal (Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005):
with n held-out normal scores it is (1 + those at least as high) / (n + 1). A normal frame that is
exchangeable with them has a p-value of at most u with probability at most u.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from steadyline.contracts.model_event import Calibration
from steadyline.contracts.score import Peak, Verdict
from steadyline.errors import UnscorableFrame
from steadyline.inference import CERTIFIED_ROUNDING, Floats
from steadyline.score_scale import ScoreScale

STEPS = 255  # of 8 bits, from 0 to 1


@dataclass(frozen=True, slots=True)
class FrameCertificate:
    """Verdict of a model's certified part; it holds for every change by at most ``margin`` steps of 8 bits of
    each pixel.
    """

    verdict: Verdict
    margin: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """What follows from one answer of the model."""

    score: float
    p_value: float
    threshold: float
    verdict: Verdict
    peak: Peak


@dataclass(frozen=True, slots=True)
class MapReading:
    """What a map says beside its frame's score: the share of its cells above the threshold, and their
    scale.
    """

    area: float
    scale: ScoreScale


def score_frame(score: float, anomaly_map: Floats, calibration: Calibration, shift: float = 0.0) -> Judgement:
    """Return the judgement of a raw score and its map (h, w) float32.

    The threshold, and the held-out scores that it is a quantile of, lie higher by ``shift`` at this camera.
    A score *above* the threshold is anomalous. Raises UnscorableFrame when score or map is not finite.
    """
    if not math.isfinite(score) or not np.isfinite(anomaly_map).all():
        raise UnscorableFrame(f"the model answers with the score {score} and a map up to {anomaly_map.max()}")
    likelihood, threshold = p_value(score - shift, calibration.scores), calibration.threshold + shift
    return Judgement(score, likelihood, threshold, _verdict(score, threshold), find_peak(anomaly_map))


def certify(certified_score: float, calibration: Calibration, shift: float = 0.0) -> FrameCertificate:
    """Return what a certified score proves; ``calibration`` is that of ``certified_score``, ``shift`` as
    above.

    The pixels that may change are those of the decoded frame, before it is made gray and resized, each on its
    own: for whole steps ``steadyline.prepare`` adds nothing to a change, no rounding either. What a decoder
    makes of a changed scene is not bounded. The proof is docs/certificate.md.
    Raises UnscorableFrame when the score is not finite.
    """
    if not math.isfinite(certified_score):
        raise UnscorableFrame(f"the model answers with the certified score {certified_score}")
    threshold = calibration.threshold + shift
    return FrameCertificate(
        _verdict(certified_score, threshold), certified_margin(certified_score, threshold)
    )


def louder(halves: Floats, names: Sequence[str]) -> str:
    """Return the name of the half that found more; ``halves`` (2,) are its score and the other's.

    Raises UnscorableFrame when one of them is not finite.
    """
    if not np.isfinite(halves).all():
        raise UnscorableFrame(f"the halves of the model answer with {halves.tolist()}")
    return names[int(np.argmax(halves))]


def certified_margin(score: float, threshold: float) -> int:
    """Return by how many whole steps of 8 bits every pixel may change without turning the verdict.

    Never more than is proven: both this score and that of the changed frame may be off by CERTIFIED_ROUNDING,
    and a part of a step does not count. 0 holds for this very frame alone; 255 is any frame of the size.
    """
    # In fractions, because a float product may be rounded up to the next whole step.
    room = (abs(Fraction(score) - Fraction(threshold)) - 2 * Fraction(CERTIFIED_ROUNDING)) * STEPS
    # An anomalous frame must stay *above* the threshold, a normal one may come up to it.
    whole = math.ceil(room) - 1 if score > threshold else math.floor(room)
    return min(max(whole, 0), STEPS)


def _verdict(score: float, threshold: float) -> Verdict:
    return "anomalous" if score > threshold else "normal"


def p_value(score: float, normals: Sequence[float]) -> float:
    """Return the conformal p-value of ``score`` among ``normals`` (ascending), in (0, 1]."""
    at_least_as_high = len(normals) - bisect_left(normals, score)
    return (1 + at_least_as_high) / (len(normals) + 1)


def find_peak(anomaly_map: Floats) -> Peak:
    """Return the centre of the highest cell in fractions of the frame; of equal cells the first counts."""
    height, width = anomaly_map.shape
    row, column = divmod(int(anomaly_map.argmax()), width)
    return Peak(x=(column + 0.5) / width, y=(row + 0.5) / height, value=float(anomaly_map[row, column]))


def is_on_map_of(certified_score: float, peak: Peak) -> bool:
    """Tell whether the map is the one that a certified score is the highest cell of."""
    return abs(certified_score - peak.value) <= CERTIFIED_ROUNDING


def read_map(anomaly_map: Floats, score: float, threshold: float, product: Calibration) -> MapReading:
    """Return what a map (h, w) on the scale of its frame's score says.

    ``product`` is the calibration of the whole product, which gives every camera of it the same spread.
    """
    scale = ScoreScale.of(product.scores, threshold).on_map(anomaly_map, score)
    return MapReading(area_above(anomaly_map, score, threshold), scale)


def area_above(anomaly_map: Floats, score: float, threshold: float) -> float:
    """Return the share of the map's cells above the threshold, where the map is on the scale of the score.

    A score is the highest of the cells, or a mean or a smooth maximum of the worst: on the map the threshold
    lies as far below the peak as the score is above its threshold. So some cell is above it if and only if
    the frame is anomalous.
    """
    if score <= threshold:
        return 0.0
    room = score - threshold
    return float(np.mean(float(anomaly_map.max()) - anomaly_map.astype(np.float64) < room))
