"""Vary pictures as lamps, sensors, lenses and encoders of one camera do.

What is fitted on normals alone takes for anomalous whatever they did not show. A detector on frozen features
that has seen normals in other light, with noise, out of focus and coded keeps its false-alarm rate there
(docs/results/2026-11-29-patch.md).
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageFilter

from trainer.arrays import Pictures


@dataclass(frozen=True, slots=True)
class CameraChanges:
    """How far the pictures of one camera may differ from one another, and in how many ways each is seen.

    Each normal is seen as it is and in ``copies`` more ways. A copy is multiplied by a gain between
    ``darkest`` and ``brightest`` and moved by up to ``offset`` grey levels. The share ``noisy`` gets noise of
    a deviation up to ``noise`` (in [0, 1]), the share ``blurred`` a Gaussian blur of up to ``blur`` pixels,
    and the share ``coded`` is a JPEG of a quality from ``worst`` to ``best``.
    """

    copies: int
    darkest: float
    brightest: float
    offset: float
    noise: float
    noisy: float
    blur: float
    blurred: float
    worst: int
    best: int
    coded: float


CAMERA_CHANGES = CameraChanges(
    copies=3,
    darkest=0.6,
    brightest=1.3,
    offset=20.0,
    noise=0.07,
    noisy=0.6,
    blur=2.0,
    blurred=0.3,
    worst=15,
    best=90,
    coded=0.3,
)


def vary(picture: Pictures, changes: CameraChanges, rng: Generator) -> Pictures:
    """Return a picture (H, W, C) uint8 as another moment of the same camera might have given it."""
    gain, offset = (
        rng.uniform(changes.darkest, changes.brightest),
        rng.uniform(-changes.offset, changes.offset),
    )
    lit = picture.astype(np.float64) * gain + offset
    if rng.random() < changes.noisy:
        lit += rng.standard_normal(picture.shape) * rng.uniform(0, changes.noise) * 255
    seen = np.clip(np.rint(lit), 0, 255).astype(np.uint8)
    sharp = rng.random() >= changes.blurred
    radius = 0.0 if sharp else rng.uniform(0, changes.blur)
    plain = rng.random() >= changes.coded
    quality = 0 if plain else int(rng.integers(changes.worst, changes.best + 1))
    return seen if sharp and plain else _through_lens_and_encoder(seen, radius, quality)


def views(
    pictures: Pictures, changes: CameraChanges, seed: int, at_once: int
) -> Iterator[tuple[Pictures, int]]:
    """Yield batches of up to ``at_once`` pictures (B, H, W, C): all as they are, then each further copy.

    Beside each batch stands the index of its first picture. A copy is drawn from the seed, its number and the
    picture's index alone, so that the same input gives the same bytes, and a view never needs all the others.
    """
    for copy in range(changes.copies + 1):
        for start in range(0, len(pictures), at_once):
            part = pictures[start : start + at_once]
            if copy:
                rngs = (np.random.default_rng([seed, copy, start + row]) for row in range(len(part)))
                part = np.stack([vary(one, changes, rng) for one, rng in zip(part, rngs, strict=True)])
            yield part, start


def _through_lens_and_encoder(seen: Pictures, radius: float, quality: int) -> Pictures:
    """Blur by a Gaussian of ``radius`` pixels (0: not at all) and code as JPEG of ``quality`` (0: do not)."""
    image = Image.fromarray(seen[..., 0] if seen.shape[2] == 1 else seen)
    if radius:
        image = image.filter(ImageFilter.GaussianBlur(radius))
    if quality:
        coded = io.BytesIO()
        image.save(coded, "JPEG", quality=quality)
        image = Image.open(coded)
    return np.asarray(image, np.uint8).reshape(seen.shape)
