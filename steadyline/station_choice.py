"""Which correction of a station holds, by the scores of its pictures; and the proof that it costs no
detection. Pure.

Defects only raise scores. The lower half of the scores of n pictures therefore belongs to good parts while at
most half of them are defective, and is held against the same quantiles of the held-out normals.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from steadyline.contracts.station import CorrectionKind
from steadyline.correction import IDENTITY, Correction

Floats = NDArray[np.float64]
Behind = tuple[CorrectionKind, Correction, Floats]  # a correction, and the scores (n,) behind it

_RESAMPLED = 400  # draws of n held-out normals that say what chance does
_CHANCE = 0.95
_LOWEST = 3  # scores that a shift of the threshold is taken from


@dataclass(frozen=True, slots=True)
class StationCandidate:
    """A correction with the scores (n,) of the station's pictures behind it, and what is added to the
    threshold.

    ``kind`` is None for leaving everything as it is.
    """

    kind: CorrectionKind | None
    correction: Correction
    scores: Floats
    threshold_shift: float = 0.0


@dataclass(frozen=True, slots=True)
class StationChoice:
    """The candidate that holds, and how far it and the untouched pictures are from the held-out normals.

    ``margin`` is what chance alone explains of such a distance.
    """

    chosen: StationCandidate
    before: float
    after: float
    margin: float


def distance(scores: ArrayLike, normals: ArrayLike) -> float:
    """Return the mean distance of the lower half of ``scores`` (n,) from the quantiles of ``normals`` that
    they would take among n good parts, in units of the score.
    """
    return float(np.abs(gaps(scores, normals)).mean())


def gaps(scores: ArrayLike, normals: ArrayLike, defective: Sequence[float] = (0.0,)) -> Floats:
    """Return how far each of the lower half of ``scores`` (n,) lies above the quantile of ``normals`` that is
    due to it, in a row for each share of ``defective`` ones, all of them in the upper half: (shares, n // 2).
    """
    ordered = np.sort(np.asarray(scores, np.float64))
    half = max(1, len(ordered) // 2)
    good = len(ordered) * (1 - np.asarray(defective, np.float64))
    places = (np.arange(half) + 0.5) / good[:, np.newaxis]
    due = np.quantile(np.asarray(normals, np.float64), np.minimum(places, 1))
    found: Floats = ordered[:half] - due
    return found


def threshold_shift(scores: ArrayLike, normals: ArrayLike) -> float:
    """Return what the threshold is to be shifted by: the median, over the lowest scores, of their
    distance.
    """
    return float(np.median(gaps(scores, normals)[0, :_LOWEST]))


def chance_margin(normals: ArrayLike, pictures: int, defective: int = 0) -> float:
    """Return the distance that chance explains of so many pictures, ``defective`` of them, in the right
    light: held-out normals exceed it in one of twenty draws.
    """
    held, random = np.asarray(normals, np.float64), np.random.default_rng(0)
    spoilt = np.full(defective, np.inf)
    draws = (random.choice(held, pictures - defective) for _ in range(_RESAMPLED))
    return float(np.quantile([distance(np.concatenate([good, spoilt]), held) for good in draws], _CHANCE))


def choose(candidates: Sequence[StationCandidate], normals: Sequence[float]) -> StationChoice:
    """Return the candidate that holds, as ``candidates_of`` orders them: nothing, the threshold alone,
    corrections.

    Nothing is changed unless that brings the scores nearer by more than chance explains. A correction has not
    seen the scores, so that good parts explain its chance; a shift is made from them, and would follow
    whatever the good ones among defective parts happen to be: it must be nearer by more than such a draw
    explains. The nearest correction holds unless the shift is nearer by more than chance explains, and of
    corrections that are equally near the simplest.
    """
    pictures = len(candidates[0].scores)
    margin = chance_margin(normals, pictures)
    far = [distance(one.scores - one.threshold_shift, normals) for one in candidates]
    before, shifted, least = far[0], far[1], min(far[2:], default=np.inf)
    place = 0
    if least < before - margin and least <= shifted + margin:
        place = next(at for at in range(2, len(far)) if far[at] <= least + margin / 4)
    elif shifted < before - chance_margin(normals, pictures, pictures // 2):
        place = 1
    return StationChoice(candidates[place], before, far[place], margin)


def candidates_of(
    untouched: ArrayLike, corrected: Sequence[Behind], normals: ArrayLike
) -> list[StationCandidate]:
    """Return the candidates, the simplest first: nothing, the threshold alone, then corrections in their
    order.

    The threshold is shifted by no more than the held-out normals span: beyond, they say nothing.
    """
    scores = np.asarray(untouched, np.float64)
    spread = float(np.max(normals) - np.min(normals))
    shift = float(np.clip(threshold_shift(scores, normals), -spread, spread))
    return [
        StationCandidate(None, IDENTITY, scores),
        StationCandidate("shift", IDENTITY, scores, shift),
        *(
            StationCandidate(kind, correction, np.asarray(found, np.float64))
            for kind, correction, found in corrected
        ),
    ]
