"""Draw shapes on a canvas larger than the picture and average it down: thin lines stay anti-aliased."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from trainer.pseudo.transform import Alpha, Picture

DRAWN_SIDE = 256  # approximate side at which shapes are drawn, whatever the picture's size


class Canvas:
    """A black canvas whose side is a multiple of ``size``; drawing is white, and ``alpha`` scales it down."""

    def __init__(self, size: int) -> None:
        self._factor = max(1, round(DRAWN_SIDE / size))
        self._size = size
        self.side = size * self._factor
        self._picture = Image.new("L", (self.side, self.side))
        self.draw = ImageDraw.Draw(self._picture)

    def paste(self, mask: Image.Image, corner: tuple[int, int]) -> None:
        """Paste a mask in canvas pixels at ``corner``."""
        self._picture.paste(mask, corner)

    def width(self, pixels: float) -> int:
        """Convert a line width from pixels of a 256-pixel canvas to pixels of this canvas."""
        return max(1, round(pixels * self.side / DRAWN_SIDE))

    def alpha(self, softness: float) -> Alpha:
        """Return the drawing as (S, S), blurred by ``softness`` pixels of a 256-pixel canvas."""
        radius = softness * self.side / DRAWN_SIDE
        picture = self._picture.filter(ImageFilter.GaussianBlur(radius)) if radius >= 0.3 else self._picture
        return average_down(np.asarray(picture), self._factor)


def average_down(values: NDArray[np.uint8], factor: int) -> Alpha:
    """Return the block means (S, S) of (S·factor, S·factor) uint8, divided by 255."""
    side = values.shape[0] // factor
    blocks = values.reshape(side, factor, side, factor)
    return np.asarray(blocks.mean(axis=(1, 3)) / 255, np.float32)


def smooth_noise(rng: np.random.Generator, size: int, cells: int) -> Alpha:
    """Return Gaussian noise (S, S), interpolated between ``cells`` x ``cells`` knots."""
    knots = Image.fromarray(rng.standard_normal((cells, cells)).astype(np.float32))
    return np.asarray(knots.resize((size, size), Image.Resampling.BICUBIC), np.float32)


def blurred(picture: Picture, share: float) -> Picture:
    """Return (S, S, C) in [0, 1], blurred by a Gaussian of ``share`` of the side and rounded to 8 bits."""
    radius = share * picture.shape[0]
    planes = [
        Image.fromarray(np.rint(picture[..., channel] * 255).astype(np.uint8)).filter(
            ImageFilter.GaussianBlur(radius)
        )
        for channel in range(picture.shape[2])
    ]
    return np.stack([np.asarray(plane, np.float32) / 255 for plane in planes], axis=2)
