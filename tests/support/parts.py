"""Made-up parts: a bright plate with dark bars, a little different each time; and defective ones."""

from pathlib import Path

import numpy as np

from steadyline.picture import encode_png
from trainer.arrays import Pictures


def good_parts(count: int, size: int = 32, channels: int = 1, seed: int = 0) -> Pictures:
    """Return (N, S, S, C) uint8 pictures of good parts."""
    rng = np.random.default_rng(seed)
    plate = np.full((count, size, size), 150.0) + rng.normal(0, 8, (count, 1, 1))
    plate[:, size // 4] -= 50
    plate[:, 3 * size // 4] -= 50
    noisy = plate + rng.normal(0, 2, plate.shape)
    return np.repeat(np.clip(noisy, 0, 255).astype(np.uint8)[..., None], channels, axis=3)


def defective_parts(
    count: int, size: int = 32, channels: int = 1, seed: int = 1
) -> tuple[Pictures, Pictures]:
    """Return parts with a dark square each, and where it is: (N, S, S) bool."""
    rng = np.random.default_rng(seed)
    parts = good_parts(count, size, channels, seed)
    masks = np.zeros((count, size, size), bool)
    for mask in masks:
        y, x = rng.integers(0, size - 8, 2)
        mask[y : y + 8, x : x + 8] = True
    parts[masks] = parts[masks] // 2
    return parts, masks


def a_set_of_parts(root: Path, size: int = 32) -> Path:
    """Write a set in MVTec layout with ground truth: 40 parts to train on; 12 good, 12 dark ones to test."""
    defective, masks = defective_parts(12, size, seed=8)
    kinds = {
        "train/good": good_parts(40, size, seed=1),
        "test/good": good_parts(12, size, seed=7),
        "test/dark": defective,
        "ground_truth/dark": masks.astype(np.uint8)[..., None] * 255,
    }
    for kind, pictures in kinds.items():
        (root / kind).mkdir(parents=True)
        for number, picture in enumerate(pictures):
            name = f"{number:02}_mask.png" if kind.startswith("ground_truth") else f"{number:02}.png"
            (root / kind / name).write_bytes(encode_png(picture[..., 0]))
    return root
