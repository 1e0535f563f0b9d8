"""Compute which pixels the mask of a pseudo-anomaly covers."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from trainer.pseudo.transform import Picture

# A pixel belongs to the defect when it changed by more than this: four steps of 8 bits, above JPEG noise.
MASK_CHANGE = 4 / 255

Mask = NDArray[np.bool_]  # (H, W)


def changed(before: Picture, after: Picture, closing: float) -> Mask:
    """Return where two pictures (H, W, C) differ, with gaps of up to ``closing`` of the shorter side closed.

    Inside a region that looks different, many pixels are by chance as bright as they were.
    """
    return closed(np.abs(after - before).max(axis=2) > MASK_CHANGE, closing)


def closed(mask: Mask, share: float) -> Mask:
    """Return a mask (H, W) with gaps of up to ``share`` of its shorter side closed (dilated, then eroded)."""
    reach = round(share * min(mask.shape) / 2)
    if reach == 0:
        return mask
    border = 2 * reach  # repeats the border, so that a gap at the border is closed too
    wide = Image.fromarray(np.pad(mask, border, mode="edge").astype(np.uint8) * np.uint8(255))
    wide = wide.filter(ImageFilter.MaxFilter(2 * reach + 1)).filter(ImageFilter.MinFilter(2 * reach + 1))
    return np.asarray(wide)[border:-border, border:-border] > 0
