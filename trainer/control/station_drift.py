"""How a camera's threshold follows the slow drift of its own scores: where they would have it, and how far it
may go at once. Pure.

Defects only raise scores, so the lower half of them is of good parts while at most half are defective. Eight
pictures do not tell good parts that score higher from good ones among defective ones; hundreds of scores do.
A shift moves all of the lower half alike, defective parts stretch it: for each share of them the shift is the
median gap to the quantiles that are due then, and the share that leaves the least distance holds.
"""

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from steadyline.contracts.model_event import Calibration
from steadyline.station_choice import gaps

# Of 200 scores the shift is known to a fifth of the normals' deviation, also when 80 are defective: a rate of
# 1 % then lies between .6 and 1.6 %. Six hours are no single batch of parts.
LEAST_SCORES = 200
LEAST_HOURS = 6
DEFECTIVE = tuple(np.linspace(0, 0.5, 11).tolist())  # shares of defective ones that are tried
_RESAMPLED = 400  # draws that say what chance does
_ABOUT = 100  # chance is that of as many whole hundreds of scores
_PLACES = 128  # even ranks that a thousand scores are looked at by: as exact, and eight times as fast
_CHANCE = 0.99  # four looks a day: chance alone moves a threshold once in a month, by one bounded step
_DAY = timedelta(days=1)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DriftStep:
    """Where the scores would have the shift of a threshold, and where it may go now.

    ``before`` and ``after`` are the distances of the lower half from the held-out normals at the present
    shift and at ``wanted``; ``margin`` is what chance alone makes of their difference. ``defective`` is the
    share that explains the scores best.
    """

    present: float
    wanted: float
    shift: float
    defective: float
    before: float
    after: float
    margin: float

    @property
    def is_due(self) -> bool:
        """True when the scores say more than chance does, and the bound leaves something to go."""
        return self.before - self.after > self.margin and self.shift != self.present

    def figures(self) -> dict[str, float]:
        """Return the figures by their names in the event."""
        return {
            "distance_before": self.before,
            "distance_after": self.after,
            "margin": self.margin,
            "defective": self.defective,
        }


def room(calibration: Calibration) -> float:
    """Return how far the threshold lies above the median of the held-out normals, which shares are of."""
    return max(0.0, calibration.threshold - float(np.median(calibration.scores)))


def allowance(calibration: Calibration, per_day: float, since: timedelta) -> float:
    """Return how far a threshold may move that has not moved ``since``; ``per_day`` is a share of its room.

    What was not used is not saved up: whoever calls bounds ``since`` by the time between two looks.
    """
    return per_day * room(calibration) * (min(max(since, timedelta(0)), _DAY) / _DAY)


def next_step(scores: ArrayLike, calibration: Calibration, present: float, allowed: float) -> DriftStep:
    """Return the step of a threshold that is shifted by ``present``, of at most ``allowed`` either way.

    ``scores`` (n,) are raw ones. In all the threshold is shifted by no more than the held-out normals span.
    """
    normals = np.asarray(calibration.scores, np.float64)
    by_share = _gaps(scores, normals)
    after, wanted, defective = _best(by_share)
    span = float(normals[-1] - normals[0])
    step = float(np.clip(wanted - present, -allowed, allowed))
    return DriftStep(
        present,
        wanted,
        float(np.clip(present + step, -span, span)),
        defective,
        _distance_at(by_share, present),
        after,
        _chance(tuple(calibration.scores), len(np.asarray(scores)) // _ABOUT * _ABOUT or _ABOUT),
    )


def _gaps(scores: ArrayLike, normals: Floats) -> Floats:
    """Return the gaps for each share of defective ones, of scores that many more are put in the place of."""
    places = (np.arange(_PLACES) + 0.5) / _PLACES
    return gaps(np.quantile(np.asarray(scores, np.float64), places), normals, DEFECTIVE)


def _best(by_share: Floats) -> tuple[float, float, float]:
    """Return the least distance, and the shift and the share of defective ones that leave it."""
    shifts = np.median(by_share, axis=1)
    distances = np.abs(by_share - shifts[:, np.newaxis]).mean(axis=1)
    place = int(np.argmin(distances))
    return float(distances[place]), float(shifts[place]), DEFECTIVE[place]


def _distance_at(by_share: Floats, shift: float) -> float:
    return float(np.abs(by_share - shift).mean(axis=1).min())


@lru_cache(64)  # the same again at every look; it takes half a second
def _chance(normals: tuple[float, ...], count: int) -> float:
    """Return by how much a shift brings so many good scores nearer when nothing has drifted, at most.

    Both are drawn: a calibration of a hundred normals is a sample as well, and often the smaller one.
    """
    random, known = np.random.default_rng(0), np.array(normals)
    nearer = []
    for _ in range(_RESAMPLED):
        held, seen = random.choice(known, len(known)), random.choice(known, count)
        by_share = _gaps(seen, held)
        nearer.append(_distance_at(by_share, 0.0) - _best(by_share)[0])
    return float(np.quantile(nearer, _CHANCE))
