"""A map as a PNG that carries its scale: the scorer writes it as evidence, whoever shows it reads it back.

Any viewer shows the picture; the values that black and white stand for are in the PNG's text.
"""

import io

import numpy as np
from PIL import Image, PngImagePlugin

from steadyline.errors import UndecodablePicture
from steadyline.formats.png import png_text
from steadyline.inference import Floats
from steadyline.picture import INPUT_LIMITS, decode, inspect

MAP_MIN, MAP_MAX = "steadyline:map-min", "steadyline:map-max"
WHITE = 255

_GREY_OF_8_BITS = b"\x08\x00"  # bit depth and colour type in the PNG's header, at byte 24
_LARGEST = float(np.finfo(np.float32).max)
_LONGEST_MESSAGE = 150  # the text of a PNG may have megabytes


def encode_map(anomaly_map: Floats) -> bytes:
    """Return (h, w) float32 as a grey PNG of w x h pixels, black its lowest value and white its highest."""
    low, high = float(anomaly_map.min()), float(anomaly_map.max())
    span = high - low if high > low else 1.0
    scaled = (anomaly_map.astype(np.float64) - low) / span * WHITE
    text = PngImagePlugin.PngInfo()
    text.add_text(MAP_MIN, repr(low))
    text.add_text(MAP_MAX, repr(high))
    target = io.BytesIO()
    Image.fromarray(np.rint(scaled).astype(np.uint8)).save(target, "PNG", pnginfo=text)
    return target.getvalue()


def decode_map(data: bytes) -> Floats:
    """Return (h, w) float32, the map that ``data`` was encoded from, to half a 255th of its range.

    The lowest and the highest value are exact. Raises UndecodablePicture when the PNG is damaged, is not grey
    of 8 bits or has no scale, and the other errors of ``inspect``: a map is no larger than the largest input
    of a model.
    """
    info = inspect(data, INPUT_LIMITS)
    if info.format != "png" or data[24:26] != _GREY_OF_8_BITS:
        raise UndecodablePicture("the map is not a grey PNG of 8 bits")
    low, high = _scale(png_text(data))
    share = decode(data, info, "gray").astype(np.float64) / WHITE
    # Not low + share · (high - low): that rounds the highest value.
    return (low * (1 - share) + high * share).astype(np.float32)


def _scale(text: dict[str, str]) -> tuple[float, float]:
    """Return the values of black and white."""
    try:
        low, high = float(text[MAP_MIN]), float(text[MAP_MAX])
    except (KeyError, ValueError) as error:
        complaint = f"the map does not say what black and white stand for: {error}"
        raise UndecodablePicture(complaint[:_LONGEST_MESSAGE]) from error
    if not -_LARGEST <= low <= high <= _LARGEST:
        raise UndecodablePicture(f"the map says that its values go from {low} to {high}")
    return low, high
