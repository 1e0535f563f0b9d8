"""Draw shapes on a canvas larger than the picture and average it down: thin lines stay anti-aliased."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from steadyline.grid import Grid
from trainer.pseudo.transform import Alpha, Picture

DRAWN_SIDE = 256  # approximate shorter side at which shapes are drawn, whatever the picture's grid


class Canvas:
    """A black canvas whose sides are a multiple of those of ``grid``; drawing is white, and ``alpha`` scales
    it down. ``side`` is the shorter one.
    """

    def __init__(self, grid: Grid) -> None:
        self.factor = max(1, round(DRAWN_SIDE / grid.shorter))
        self.height, self.width = (side * self.factor for side in grid)
        self.side = grid.shorter * self.factor
        self._picture = Image.new("L", (self.width, self.height))
        self.draw = ImageDraw.Draw(self._picture)

    def paste(self, mask: Image.Image, corner: tuple[int, int]) -> None:
        """Paste a mask in canvas pixels at ``corner``."""
        self._picture.paste(mask, corner)

    def thickness(self, pixels: float) -> int:
        """Convert a line width from pixels of a 256-pixel canvas to pixels of this canvas."""
        return max(1, round(pixels * self.side / DRAWN_SIDE))

    def alpha(self, softness: float) -> Alpha:
        """Return the drawing as (H, W), blurred by ``softness`` pixels of a 256-pixel canvas."""
        radius = softness * self.side / DRAWN_SIDE
        picture = self._picture.filter(ImageFilter.GaussianBlur(radius)) if radius >= 0.3 else self._picture
        return average_down(np.asarray(picture), self.factor)


def average_down(values: NDArray[np.uint8], factor: int) -> Alpha:
    """Return the block means (H, W) of (H·factor, W·factor) uint8, divided by 255."""
    high, wide = (side // factor for side in values.shape)
    blocks = values.reshape(high, factor, wide, factor)
    return np.asarray(blocks.mean(axis=(1, 3)) / 255, np.float32)


def smooth_noise(rng: np.random.Generator, grid: Grid, cells: int) -> Alpha:
    """Return Gaussian noise (H, W), interpolated between ``cells`` knots along the shorter side and knots as
    far apart along the longer one.
    """
    counts = [round(cells * side / grid.shorter) for side in grid]
    knots = Image.fromarray(rng.standard_normal(counts).astype(np.float32))
    return np.asarray(knots.resize((grid.width, grid.height), Image.Resampling.BICUBIC), np.float32)


def blurred(picture: Picture, share: float) -> Picture:
    """Return (H, W, C) in [0, 1], blurred by a Gaussian of ``share`` of the shorter side and rounded to 8
    bits.
    """
    radius = share * min(picture.shape[:2])
    planes = [
        Image.fromarray(np.rint(picture[..., channel] * 255).astype(np.uint8)).filter(
            ImageFilter.GaussianBlur(radius)
        )
        for channel in range(picture.shape[2])
    ]
    return np.stack([np.asarray(plane, np.float32) / 255 for plane in planes], axis=2)
