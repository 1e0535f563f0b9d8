"""Which pixels a pseudo-anomaly is said to cover."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from trainer.pseudo.transform import Picture

# A pixel belongs to the defect when it changed by more than this: four steps of 8 bits, above JPEG's noise.
MASK_CHANGE = 4 / 255

Mask = NDArray[np.bool_]  # (S, S)


def changed(before: Picture, after: Picture, closing: float) -> Mask:
    """Return where two pictures (S, S, C) differ, gaps of up to ``closing`` of the side closed.

    Within a region that looks different many a pixel is by chance as bright as it was.
    """
    return closed(np.abs(after - before).max(axis=2) > MASK_CHANGE, closing)


def closed(mask: Mask, share: float) -> Mask:
    """Return a mask (S, S) with gaps of up to ``share`` of its side closed (dilated, then eroded)."""
    side = mask.shape[0]
    reach = round(share * side / 2)
    if reach == 0:
        return mask
    dependencies = 2 * reach  # of repeated border, so that a gap at the border is one, too
    wide = Image.fromarray(np.pad(mask, dependencies, mode="edge").astype(np.uint8) * np.uint8(255))
    wide = wide.filter(ImageFilter.MaxFilter(2 * reach + 1)).filter(ImageFilter.MinFilter(2 * reach + 1))
    inside = slice(dependencies, dependencies + side)
    return np.asarray(wide)[inside, inside] > 0
