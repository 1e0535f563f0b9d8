"""A map as a PNG that carries its scale: the scorer writes it as evidence, whoever shows it reads it back.

Any viewer shows the picture. Mid grey is the threshold, in every map of a model; a map whose values have no
threshold runs from its own lowest value to its highest. What a grey stands for is in the PNG's text.
"""

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from steadyline.errors import UndecodablePicture
from steadyline.formats.png import png_text
from steadyline.inference import Floats
from steadyline.picture import INPUT_LIMITS, decode, inspect
from steadyline.score_scale import ScoreScale

MAP_THRESHOLD, MAP_SPREAD = "steadyline:map-threshold", "steadyline:map-spread"
MAP_MIN, MAP_MAX = "steadyline:map-min", "steadyline:map-max"
WHITE = 255
GREYS = WHITE + 1

_GREY_OF_8_BITS = b"\x08\x00"  # bit depth and colour type in the PNG's header, at byte 24
_LARGEST = float(np.finfo(np.float32).max)
_LONGEST_MESSAGE = 150  # the text of a PNG may have megabytes


def encode_map(anomaly_map: Floats, scale: ScoreScale | None = None) -> bytes:
    """Return (h, w) float32 as a grey PNG of w x h pixels.

    With the ``scale`` of its cells a cell has the grey ``floor(256 · calibrated)``: 128 and more exactly
    where it is above the threshold, whatever the frame. Without, black is the map's lowest value and white
    its highest.
    """
    if scale is not None:
        greys = np.floor(scale.of_cells(anomaly_map) * GREYS).clip(0, WHITE)
        # By the values: what lies above the threshold by less than a float can tell is above it all the same.
        above = anomaly_map.astype(np.float64) > scale.threshold
        greys = np.where(above, np.maximum(greys, GREYS // 2), np.minimum(greys, GREYS // 2 - 1))
        return _png(greys, {MAP_THRESHOLD: scale.threshold, MAP_SPREAD: scale.spread})
    low, high = float(anomaly_map.min()), float(anomaly_map.max())
    span = high - low if high > low else 1.0
    greys = np.rint((anomaly_map.astype(np.float64) - low) / span * WHITE)
    return _png(greys, {MAP_MIN: low, MAP_MAX: high})


def decode_map(data: bytes) -> Floats:
    """Return (h, w) float32, the map that ``data`` was encoded from, to half a grey of its scale.

    Raises UndecodablePicture when the PNG is damaged, is not grey of 8 bits or has no scale, and the other
    errors of ``inspect``: a map is no larger than the largest input of a model.
    """
    greys, text = _greys(data)
    first, second = _scale(text)
    if MAP_THRESHOLD in text:
        threshold, spread = first, second
        far = _calibrated_of(greys) * 2 - 1
        found: Floats = np.clip(threshold + spread * far / (1 - np.abs(far)), -_LARGEST, _LARGEST).astype(
            np.float32
        )
        return found
    low, high = first, second
    share = greys.astype(np.float64) / WHITE
    # Not low + share · (high - low): that rounds the highest value.
    return (low * (1 - share) + high * share).astype(np.float32)


def glow_of(data: bytes) -> NDArray[np.float64]:
    """Return how much each cell (h, w) of a map is to glow, from 0 to 1, for whoever shows it.

    Nothing glows that is not above the threshold, in whichever frame. A map whose values have no threshold
    glows from its lowest cell to its highest. Raises like ``decode_map``.
    """
    greys, text = _greys(data)
    _scale(text)
    if MAP_THRESHOLD in text:
        return np.maximum(2 * _calibrated_of(greys) - 1, 0)
    found: NDArray[np.float64] = (greys - float(greys.min())) / max(1, int(np.ptp(greys)))
    return found


def _calibrated_of(greys: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the middle of what each grey of a calibrated map stands for, between 0 and 1."""
    found: NDArray[np.float64] = (greys.astype(np.float64) + 0.5) / GREYS
    return found


def _png(greys: NDArray[np.float64], numbers: dict[str, float]) -> bytes:
    text, target = PngImagePlugin.PngInfo(), io.BytesIO()
    for keyword, value in numbers.items():
        text.add_text(keyword, repr(value))
    Image.fromarray(greys.astype(np.uint8)).save(target, "PNG", pnginfo=text)
    return target.getvalue()


def _greys(data: bytes) -> tuple[NDArray[np.uint8], dict[str, str]]:
    info = inspect(data, INPUT_LIMITS)
    if info.format != "png" or data[24:26] != _GREY_OF_8_BITS:
        raise UndecodablePicture("the map is not a grey PNG of 8 bits")
    return decode(data, info, "gray"), png_text(data)


def _scale(text: dict[str, str]) -> tuple[float, float]:
    """Return threshold and spread of a calibrated map, or the lowest and the highest value of another."""
    if MAP_THRESHOLD in text:
        threshold, spread = _numbers(text, MAP_THRESHOLD, MAP_SPREAD)
        if not (abs(threshold) <= _LARGEST and 0 < spread <= _LARGEST):
            raise UndecodablePicture(
                f"the map says that {spread} is its spread, and {threshold} its threshold"
            )
        return threshold, spread
    low, high = _numbers(text, MAP_MIN, MAP_MAX)
    if not -_LARGEST <= low <= high <= _LARGEST:
        raise UndecodablePicture(f"the map says that its values go from {low} to {high}")
    return low, high


def _numbers(text: dict[str, str], first: str, second: str) -> tuple[float, float]:
    """Return what two entries of a PNG's text say."""
    try:
        found = float(text[first]), float(text[second])
    except (KeyError, ValueError) as error:
        complaint = f"the map does not say what black and white stand for: {error}"
        raise UndecodablePicture(complaint[:_LONGEST_MESSAGE]) from error
    if not all(math.isfinite(one) for one in found):
        raise UndecodablePicture(f"the map says that its values go from {found[0]} to {found[1]}")
    return found
