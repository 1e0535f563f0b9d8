"""Natural corruptions of pictures in three severities: what lamps, lenses, belts and encoders do to them.

Each function takes pictures (N, H, W, C) uint8 and a severity and returns the same shape; the same pictures
give the same result. Lengths are fractions of the shorter side, so that a small picture suffers as a large
one does. The kinds are those of "Benchmarking Neural Network Robustness to Common Corruptions" (Hendrycks and
Dietterich, ICLR 2019) that occur on a production line; dust and shift are our own.
"""

import io
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from trainer.arrays import Pictures

Severity = Literal[1, 2, 3]
Corruption = Callable[[Pictures, Severity], Pictures]

SEVERITIES: tuple[Severity, ...] = (1, 2, 3)


@dataclass(frozen=True, slots=True)
class Strength:
    """The strength of a corruption: one number for each severity."""

    of: tuple[float, float, float]

    def at(self, severity: Severity) -> float:
        """Return the number that belongs to a severity."""
        return self.of[severity - 1]


_NOISE = Strength((0.03, 0.06, 0.12))  # standard deviation of the sensor's noise, in [0, 1]
_EXPOSURE = Strength((0.9, 0.8, 0.6))  # the share of the light that is left
_CONTRAST = Strength((0.8, 0.6, 0.4))
_DEFOCUS = Strength((0.5 / 100, 1 / 100, 2 / 100))  # the blur's standard deviation as a share of the side
_MOTION = Strength((2 / 100, 4 / 100, 8 / 100))  # the part's way during the exposure as a share of the side
_QUALITY = Strength((40, 20, 8))
_SPECKS = Strength((3, 8, 20))  # the number of dust specks on the lens
_SPECK = 1.2 / 100  # the radius of the largest speck as a share of the side
_SHADE = (0.5, 0.85)  # the least and the greatest share of the light that a speck lets through
_SHIFT = Strength((1 / 100, 2 / 100, 4 / 100))  # the part's distance from its place as a share of the side


def noise(pictures: Pictures, severity: Severity) -> Pictures:
    """Add the noise of a sensor."""
    return as_pictures(
        pictures + _random(pictures).standard_normal(pictures.shape) * _NOISE.at(severity) * 255
    )


def exposure(pictures: Pictures, severity: Severity) -> Pictures:
    """Take light away."""
    return as_pictures(pictures * _EXPOSURE.at(severity))


def contrast(pictures: Pictures, severity: Severity) -> Pictures:
    """Flatten each picture about its own mean."""
    mean = pictures.mean(axis=(1, 2, 3), keepdims=True)
    return as_pictures(mean + (pictures - mean) * _CONTRAST.at(severity))


def defocus(pictures: Pictures, severity: Severity) -> Pictures:
    """Blur the pictures as a lens out of focus does."""
    blur = ImageFilter.GaussianBlur(_DEFOCUS.at(severity) * _side(pictures))
    return _each(pictures, lambda picture: picture.filter(blur))


def motion(pictures: Pictures, severity: Severity) -> Pictures:
    """Blur the pictures as if the part moved sideways during the exposure: take the mean over its way."""
    length = max(2.0, _MOTION.at(severity) * _side(pictures))
    reach = int(np.ceil(length / 2)) + 1
    padded = np.pad(pictures.astype(np.float64), ((0, 0), (0, 0), (reach, reach), (0, 0)), mode="edge")
    # The mean over a stretch is a difference of the running sum, which is linear between pixels.
    total = np.pad(np.cumsum(padded, axis=2), ((0, 0), (0, 0), (1, 0), (0, 0)))
    middle = np.arange(pictures.shape[2], dtype=np.float64) + (reach + 0.5)
    ends = _between(total, middle + length / 2), _between(total, middle - length / 2)
    return as_pictures((ends[0] - ends[1]) / length)


def jpeg(pictures: Pictures, severity: Severity) -> Pictures:
    """Encode the pictures as JPEG of a low quality, and decode them again."""
    return _each(pictures, lambda picture: _coded(picture, int(_QUALITY.at(severity))))


def dust(pictures: Pictures, severity: Severity) -> Pictures:
    """Put soft-edged specks of dust on the lens; they are the same on every picture of a call."""
    height, width = pictures.shape[1:3]
    return as_pictures(pictures * _shade(height, width, severity)[None, :, :, None])


def shift(pictures: Pictures, severity: Severity) -> Pictures:
    """Move the part right and down, out of its place; the uncovered strip repeats the edge."""
    way = _SHIFT.at(severity) * _side(pictures)
    moved = _moved(pictures.astype(np.float64), way)
    return as_pictures(_moved(moved.swapaxes(1, 2), way).swapaxes(1, 2))


CORRUPTIONS: Mapping[str, Corruption] = {
    "noise": noise,
    "exposure": exposure,
    "contrast": contrast,
    "defocus": defocus,
    "motion": motion,
    "jpeg": jpeg,
    "dust": dust,
    "shift": shift,
}


def _moved(pictures: NDArray[np.float64], way: float) -> NDArray[np.float64]:
    """Return pictures (N, H, W, C) moved right by ``way`` pixels, interpolated linearly, edge repeated."""
    width = pictures.shape[2]
    return _between(pictures, np.clip(np.arange(width) - way, 0, width - 1))


def _between(values: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values (N, H, W, C) read at the columns ``at``, which may be fractional: (N, H, len(at), C)."""
    low = np.minimum(np.floor(at).astype(np.intp), values.shape[2] - 2)
    share = (at - low)[None, None, :, None]
    found: NDArray[np.float64] = values[:, :, low] * (1 - share) + values[:, :, low + 1] * share
    return found


@lru_cache(maxsize=64)
def _shade(height: int, width: int, severity: Severity) -> NDArray[np.float64]:
    """Return (H, W): the share of the light that the dust lets through at each pixel."""
    random, side = np.random.default_rng(0), min(height, width)
    over = 4  # the specks are drawn so many times larger, for a smooth edge
    layer = Image.new("L", (width * over, height * over), 255)
    pen = ImageDraw.Draw(layer)
    for _ in range(int(_SPECKS.at(severity))):
        x, y = random.uniform(0, width * over), random.uniform(0, height * over)
        radius = max(_SPECK * side * random.uniform(0.4, 1), 0.7) * over
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), round(255 * random.uniform(*_SHADE)))
    return np.asarray(layer.resize((width, height), Image.Resampling.BOX), np.float64) / 255


def _coded(picture: Image.Image, quality: int) -> Image.Image:
    held = io.BytesIO()
    picture.save(held, "JPEG", quality=quality)
    return Image.open(held)


def _each(pictures: Pictures, change: Callable[[Image.Image], Image.Image]) -> Pictures:
    found = [np.asarray(change(Image.fromarray(_plain(picture)))) for picture in pictures]
    return np.stack(found).reshape(pictures.shape)


def _plain(picture: Pictures) -> Pictures:
    return picture if picture.shape[2] == 3 else picture[..., 0]


def _side(pictures: Pictures) -> int:
    return int(min(pictures.shape[1:3]))


def _random(pictures: Pictures) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(np.ascontiguousarray(pictures).tobytes()))


def as_pictures(values: NDArray[np.floating]) -> Pictures:
    """Return values in steps of 8 bits as a camera gives them: cut at 0 and 255, and rounded."""
    rounded: Pictures = np.rint(np.clip(values, 0, 255)).astype(np.uint8)
    return rounded
