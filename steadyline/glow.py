"""A frame with its map over it, in colours that are read without colour too."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from steadyline.map_png import glow_of

_COVER = 0.6  # of the frame, by the colour over it
# Violet, red, orange, pale yellow: equal steps from dark to light, readable without colour too.
_STOPS = np.array([[87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]], dtype=np.float64)


def under_map(frame: Image.Image, map_png: bytes) -> Image.Image:
    """Return a frame with a map, as a scorer keeps it, over it; raises like ``decode_map``."""
    cells = Image.fromarray(glow_of(map_png).astype(np.float32))
    return glowing(frame, np.asarray(cells.resize(frame.size, Image.Resampling.BILINEAR)))


def glowing(frame: Image.Image, glow: NDArray[np.float32]) -> Image.Image:
    """Return a frame with its map over it: in a perceptual colour scale where ``glow`` (h, w) is above 0, and
    as it is elsewhere.
    """
    position = glow.clip(0, 1).astype(np.float64) * (len(_STOPS) - 1)
    low = np.clip(position.astype(int), 0, len(_STOPS) - 2)
    part = (position - low)[..., None]
    colour = _STOPS[low] * (1 - part) + _STOPS[low + 1] * part
    cover = np.where(glow > 0, _COVER, 0)[..., None]
    return Image.fromarray((np.asarray(frame) * (1 - cover) + colour * cover).astype(np.uint8), "RGB")
