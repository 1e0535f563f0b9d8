"""Station calibration: from a few pictures of a camera, the correction that makes its scores come true. Pure.

The trainer keeps a *reference* of its normals: mean and deviation of their pixelwise median, and a coarse
field of it. A station is a camera in its own light. The pixelwise median of its pictures is the picture of a
good part while at most half of them are defective at any one place, so what separates the two is the light. A
*correction* of the pixel values puts it right; the weights of the model stay as they are. Which one holds, if
any, is decided by scores: ``steadyline.station_choice``. How it is carried out: ``steadyline.correction``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steadyline.contracts.station import LARGEST_GAIN, CorrectionKind, Station, StationReference
from steadyline.correction import Correction, gains_of

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

FEWEST_PICTURES = 8  # so that four of them may be defective
FIELD = 8  # rows and columns of the coarse field
MOST_REFERENCE = 128  # a reference is taken from so many normals, evenly spread
_LEAST_DEVIATION = 2.0  # steps of 8 bits: a picture that is flatter says nothing of a gain
_ALIGNED = 0.5  # of the deviation of one picture that the median picture keeps where parts lie in their place
_DARK = 4.0  # steps of 8 bits, added before a ratio is taken: a black cell decides nothing
_ROUNDS = 8  # of the plane's fit; cells off it count less each time


@dataclass(frozen=True, slots=True)
class Reference:
    """What good parts look like, in steps of 8 bits.

    ``means`` and ``deviations`` (C,) are those of each channel of the median picture where parts lie in their
    place, otherwise the median over the pictures of each one's own. ``field`` (FIELD, FIELD) is the coarse
    mean, over the channels, of the median picture.
    """

    means: Floats
    deviations: Floats
    field: Floats
    is_aligned: bool

    @staticmethod
    def of(kept: StationReference) -> "Reference":
        """Return the reference that an event carries."""
        field = np.array(kept.field).reshape(FIELD, FIELD)
        return Reference(np.array(kept.means), np.array(kept.deviations), field, kept.is_aligned)

    def kept(self) -> StationReference:
        """Return it as an event carries it, in hundredths of a step."""
        means, deviations, field = (
            [round(float(value), 2) for value in values.ravel()]
            for values in (self.means, self.deviations, self.field)
        )
        return StationReference(means=means, deviations=deviations, field=field, is_aligned=self.is_aligned)


def correction_of(station: Station) -> Correction:
    """Return the correction of a station in service."""
    return Correction(tuple(station.gains), tuple(station.offsets), tuple(station.slopes))


def reference_of(pictures: Pixels) -> Reference:
    """Return the reference of prepared good parts (N, H, W, C) uint8, N of at least 1."""
    chosen = pictures[
        np.linspace(0, len(pictures) - 1, min(len(pictures), MOST_REFERENCE)).round().astype(int)
    ]
    median = median_picture(chosen).astype(np.float64)
    in_place, own = _moments(median[None]), _moments(chosen)
    is_aligned = bool(in_place[1].mean() >= _ALIGNED * own[1].mean())
    return Reference(*(in_place if is_aligned else own), coarse_field(median), is_aligned)


def median_picture(pictures: Pixels) -> Pixels:
    """Return the pixelwise median (H, W, C) of pictures (N, H, W, C); of an even number the lower of the
    two.
    """
    middle = (len(pictures) - 1) // 2
    rows = [np.partition(pictures[:, row], middle, axis=0)[middle] for row in range(pictures.shape[1])]
    return np.stack(rows)


def coarse_field(picture: Floats) -> Floats:
    """Return the means (FIELD, FIELD) of the cells of a picture (H, W, C) of at least FIELD rows and
    columns.
    """
    plane: Floats = picture.mean(axis=2)
    for axis in (0, 1):
        edges = np.linspace(0, plane.shape[axis], FIELD + 1).round().astype(int)
        sums = np.add.reduceat(plane, edges[:-1], axis=axis)
        plane = sums / np.diff(edges).reshape((-1, 1) if axis == 0 else (1, -1))
    return plane


def corrections(reference: Reference, pictures: Pixels) -> Mapping[CorrectionKind, Correction]:
    """Return the corrections that bring a station's pictures (N, H, W, C) to the reference.

    ``affine`` is one gain and offset; ``white_balance`` one of each for every channel, where there are three;
    ``gradient`` an affine after a plane of the logarithm of the light is divided out. One is left out whose
    gain would be beyond LARGEST_GAIN, or that a picture without contrast says nothing of.
    """
    median = median_picture(pictures).astype(np.float64)
    shown = median[None] if reference.is_aligned else pictures
    slopes = plane_between(reference.field, coarse_field(median))
    relit = shown * gains_of(slopes, *median.shape[:2])[None, :, :, None]
    found: dict[CorrectionKind, Correction | None] = {
        "affine": _affine(reference, shown, ()),
        "gradient": _affine(reference, relit, slopes),
    }
    if len(reference.means) == 3:
        found["white_balance"] = _each_channel(reference, shown)
    return {kind: one for kind, one in found.items() if one is not None}


def plane_between(reference: Floats, station: Floats) -> tuple[float, float]:
    """Return the slopes to the right and down of log(reference / station), both coarse fields.

    Coordinates run from -1 to 1. Cells that are off the plane, where parts differ and not the light, count
    less (Huber's weights, "Robust Estimation of a Location Parameter", 1964).
    """
    ratio = np.log((reference + _DARK) / (station + _DARK)).ravel()
    across = (2 * np.arange(FIELD) + 1 - FIELD) / FIELD
    x, y = (one.ravel() for one in np.meshgrid(across, across))
    basis = np.stack([x, y, np.ones_like(x)], axis=1)
    weights: Floats = np.ones_like(x)
    plane: Floats = np.zeros(3)
    for _ in range(_ROUNDS):
        solved = np.linalg.lstsq(basis * weights[:, None], ratio * weights, rcond=None)[0]
        plane = np.asarray(solved, np.float64)
        off = np.abs(ratio - basis @ plane)
        scale = 1.4826 * float(np.median(off)) + 1e-3
        weights = np.sqrt(1 / np.maximum(1, off / (1.5 * scale)))
    right, down = np.clip(plane[:2], -1, 1)
    return float(right), float(down)


def _affine(reference: Reference, shown: Floats | Pixels, slopes: tuple[float, ...]) -> Correction | None:
    means, deviations = _moments(shown)
    if deviations.mean() < _LEAST_DEVIATION:
        return None
    gain = float(np.sqrt(np.mean(reference.deviations**2) / np.mean(deviations**2)))
    return _within_limits((gain,), (float(reference.means.mean() - gain * means.mean()),), slopes)


def _each_channel(reference: Reference, shown: Floats | Pixels) -> Correction | None:
    means, deviations = _moments(shown)
    if deviations.min() < _LEAST_DEVIATION:
        return None
    gains = reference.deviations / deviations
    return _within_limits(tuple(gains.tolist()), tuple((reference.means - gains * means).tolist()), ())


def _within_limits(
    gains: tuple[float, ...], offsets: tuple[float, ...], slopes: tuple[float, ...]
) -> Correction | None:
    if not all(1 / LARGEST_GAIN <= gain <= LARGEST_GAIN for gain in gains):
        return None
    return Correction(
        tuple(round(gain, 6) for gain in gains), tuple(round(one, 4) for one in offsets), slopes
    )


def _moments(pictures: Floats | Pixels) -> tuple[Floats, Floats]:
    """Return mean and deviation (C,) of the channels: of each picture its own, and the median over
    pictures.
    """
    flat = pictures.reshape(len(pictures), -1, pictures.shape[3])
    means = np.median(flat.mean(axis=1, dtype=np.float64), axis=0)
    deviations = np.median(flat.std(axis=1, dtype=np.float64), axis=0)
    return means, deviations
