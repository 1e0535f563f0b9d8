"""Measures how well maps locate defects: AUROC and average precision of pixels, and the area under the curve
of per-region overlap (PRO).

The last two need only the rank of each defective pixel among the normal ones, so one sorted copy of the
normal pixels is all the memory that they take beside the maps.
"""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from trainer.arrays import Masks
from trainer.evaluation.auroc import auroc

Maps = NDArray[np.float32]  # (N, H, W)

_CORNERS_JOINED = np.ones((3, 3), bool)

FALSE_POSITIVES = 0.3  # the false-positive rate at which the curve ends (Bergmann et al., IJCV 2021)


@dataclass(frozen=True, slots=True)
class Localisation:
    """``auroc`` and ``ap`` are figures of pixels; ``aupro`` is the mean overlap of regions over
    false-positive rates up to .3.
    """

    auroc: float
    aupro: float
    ap: float

    def rounded(self) -> dict[str, float]:
        """Return the figures by their names, to four digits."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


def localisation(maps: Maps, masks: Masks) -> Localisation:
    """Return the figures; raises ValueError when a kind of pixel is missing or a map is not finite."""
    pixels = _Pixels(maps, masks)
    overlap = pixels.aupro(masks, FALSE_POSITIVES)
    return Localisation(auroc(maps.ravel(), masks.ravel()), overlap, pixels.average_precision())


def average_precision(maps: Maps, masks: Masks) -> float:
    """Return the mean, over defective pixels, of the precision at the threshold of each; see localisation."""
    return _Pixels(maps, masks).average_precision()


def aupro(maps: Maps, masks: Masks, limit: float = FALSE_POSITIVES) -> float:
    """Return the area under the curve of per-region overlap against false-positive rate, from 0 to ``limit``,
    divided by ``limit``.

    A region is a component of the mask, where pixels that share a corner are joined; each counts alike,
    however small. See localisation.
    """
    return _Pixels(maps, masks).aupro(masks, limit)


class _Pixels:
    """The map values of the normal pixels, sorted, and of the defective ones in the order of the masks."""

    def __init__(self, maps: Maps, masks: Masks) -> None:
        if maps.shape != masks.shape or maps.ndim != 3:
            raise ValueError(f"maps {maps.shape} and masks {masks.shape} must be (N, H, W), and alike")
        self._defective, self._normal = maps[masks], np.sort(maps[~masks])
        if not len(self._defective) or not len(self._normal):
            raise ValueError(
                f"both kinds are needed: {len(self._defective)} defective, {len(self._normal)} normal pixels"
            )
        if not (np.isfinite(self._defective).all() and np.isfinite(self._normal[[0, -1]]).all()):
            raise ValueError("a map has NaN or infinity")

    def average_precision(self) -> float:
        own = np.sort(self._defective)
        hits = len(own) - np.searchsorted(own, own)
        return float(np.mean(hits / (hits + self._at_least(own))))

    def aupro(self, masks: Masks, limit: float) -> float:
        regions = np.concatenate([component_sizes(mask) for mask in masks if mask.any()])
        gains = self._area(limit) / regions
        # Each region's pixels hold 1 / area, so their sum over all pixels counts regions.
        return float(gains.sum() / np.sum(1 / regions) / limit)

    def _area(self, limit: float) -> NDArray[np.float64]:
        """Return for each defective pixel over how much of the curve up to ``limit`` it is found; ties with
        normal pixels count as a linear ramp.
        """
        count = len(self._normal)
        begin = self._above(self._defective) / count
        end = self._at_least(self._defective) / count
        ramp = np.clip(limit - begin, 0, end - begin)
        slope = np.where(end > begin, ramp / np.maximum(end - begin, 1 / count), 0)
        area: NDArray[np.float64] = 0.5 * ramp * slope + np.maximum(limit - end, 0)
        return area

    def _at_least(self, values: Maps) -> NDArray[np.intp]:
        return len(self._normal) - np.searchsorted(self._normal, values)

    def _above(self, values: Maps) -> NDArray[np.intp]:
        return len(self._normal) - np.searchsorted(self._normal, values, side="right")


def component_sizes(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return, for each True pixel of (H, W) in row order, how many pixels its component has."""
    labels = components(mask)[mask]
    sizes: NDArray[np.int64] = np.bincount(labels)[labels]
    return sizes


def components(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return (H, W): 0 outside, inside the number of the pixel's component, from 1; corners join pixels."""
    found: NDArray[np.int64] = label(mask, _CORNERS_JOINED, output=np.int64)[0]
    return found
