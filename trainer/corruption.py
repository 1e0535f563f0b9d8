"""Five natural corruptions of a prepared picture, at a strength a line sees on a bad day.

Each takes and returns (N, S, S, C) uint8. They are what lamps, lenses and encoders do, not what an attacker
does.
"""

import io
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Pictures = NDArray[np.uint8]
Corruption = Callable[[Pictures], Pictures]

_NOISE = 0.06  # standard deviation of the sensor's noise, in [0, 1]
_EXPOSURE = 0.8
_CONTRAST = 0.6
_DEFOCUS = 1 / 100  # of the side: the blur's standard deviation, 0.64 pixels of 64
_QUALITY = 20


def noise(pictures: Pictures) -> Pictures:
    """Sensor noise; the same for the same pictures."""
    added = np.random.default_rng(0).standard_normal(pictures.shape) * (_NOISE * 255)
    return _uint8(pictures + added)


def exposure(pictures: Pictures) -> Pictures:
    """A fifth less light."""
    return _uint8(pictures * _EXPOSURE)


def contrast(pictures: Pictures) -> Pictures:
    """Flatter about each picture's own mean."""
    mean = pictures.mean(axis=(1, 2, 3), keepdims=True)
    return _uint8(mean + (pictures - mean) * _CONTRAST)


def defocus(pictures: Pictures) -> Pictures:
    """Out of focus."""
    blur = ImageFilter.GaussianBlur(_DEFOCUS * pictures.shape[1])
    return _each(pictures, lambda picture: picture.filter(blur))


def jpeg(pictures: Pictures) -> Pictures:
    """Coded at a low quality."""
    return _each(pictures, _coded)


CORRUPTIONS: Mapping[str, Corruption] = {
    "noise": noise,
    "exposure": exposure,
    "contrast": contrast,
    "defocus": defocus,
    "jpeg": jpeg,
}


def _coded(picture: Image.Image) -> Image.Image:
    held = io.BytesIO()
    picture.save(held, "JPEG", quality=_QUALITY)
    return Image.open(held)


def _each(pictures: Pictures, change: Callable[[Image.Image], Image.Image]) -> Pictures:
    found = [np.asarray(change(Image.fromarray(_plain(picture)))) for picture in pictures]
    return np.stack(found).reshape(pictures.shape)


def _plain(picture: Pictures) -> Pictures:
    return picture if picture.shape[2] == 3 else picture[..., 0]


def _uint8(values: NDArray[np.floating]) -> Pictures:
    rounded: Pictures = np.rint(np.clip(values, 0, 255)).astype(np.uint8)
    return rounded
