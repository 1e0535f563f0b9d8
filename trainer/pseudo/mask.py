"""Compute which pixels the mask of a pseudo-anomaly covers."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from trainer.pseudo.transform import Picture

# A pixel belongs to the defect when it changed by more than this: four steps of 8 bits, above JPEG noise.
MASK_CHANGE = 4 / 255

Mask = NDArray[np.bool_]  # (S, S)


def changed(before: Picture, after: Picture, closing: float) -> Mask:
    """Return where two pictures (S, S, C) differ, with gaps of up to ``closing`` of the side closed.

    Inside a region that looks different, many pixels are by chance as bright as they were.
    """
    return closed(np.abs(after - before).max(axis=2) > MASK_CHANGE, closing)


def closed(mask: Mask, share: float) -> Mask:
    """Return a mask (S, S) with gaps of up to ``share`` of its side closed (dilated, then eroded)."""
    side = mask.shape[0]
    reach = round(share * side / 2)
    if reach == 0:
        return mask
    border = 2 * reach  # repeats the border, so that a gap at the border is closed too
    wide = Image.fromarray(np.pad(mask, border, mode="edge").astype(np.uint8) * np.uint8(255))
    wide = wide.filter(ImageFilter.MaxFilter(2 * reach + 1)).filter(ImageFilter.MinFilter(2 * reach + 1))
    inside = slice(border, border + side)
    return np.asarray(wide)[inside, inside] > 0
