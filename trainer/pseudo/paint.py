"""How a painted defect looks within its shape.

It is darker, brighter, uniformly gray, of foreign texture, of coarser or finer grain, or the surface of
another part.
"""

from functools import partial

import numpy as np
from numpy.random import Generator

from trainer.pseudo.canvas import blurred, smooth_noise
from trainer.pseudo.shape import SHAPES
from trainer.pseudo.transform import Alpha, Parameters, Picture, Transform, details, grid_of, log_uniform

# Most defects of parts that emit or reflect light are darker than the part.
_LOOKS = ("darken", "lighten", "gain", "level", "foreign")
_LOOK_SHARES = (0.55, 0.10, 0.10, 0.15, 0.10)
_GRAIN = 0.05  # of the shorter side: finer structure is grain, coarser structure is light
_UNEVEN = 0.35  # share of masks with a smooth gain, so that contrast varies within the defect


def draw_painted(shape: str, rng: Generator) -> Parameters:
    """Choose a shape and, unless the shape decides it, how it is painted.

    Contrast is relative and log-uniform from .1 to 1.
    """
    look = _LOOKS[int(rng.choice(len(_LOOKS), p=_LOOK_SHARES))]
    return {
        "look": look,
        **SHAPES[shape][0](rng),
        "contrast": log_uniform(rng, 0.1, 1.0),
        "level": float(rng.uniform(0, 1)),
        "shift": float(rng.uniform(0, 1)),
        "shift_axis": int(rng.integers(2)),
        "uneven": int(rng.choice((5, 17))) if rng.random() < _UNEVEN else 0,
    }


def painted(shape: str, picture: Picture, donor: Picture, of: Parameters) -> Picture:
    """Return ``picture`` with the defect; nothing changes outside its mask."""
    grid = grid_of(picture)
    alpha = SHAPES[shape][1](grid, of)
    if of["uneven"]:
        gain = 0.5 + 0.5 * smooth_noise(details(of), grid, int(of["uneven"]))
        alpha = alpha * np.clip(gain, 0, 1)
    return np.asarray(np.clip(_look(picture, donor, alpha[..., None], of), 0, 1), np.float32)


def _look(picture: Picture, donor: Picture, alpha: Alpha, of: Parameters) -> Picture:
    contrast = float(of["contrast"])
    match of["look"]:
        case "darken":
            return picture * (1 - alpha * min(contrast, 0.95))
        case "lighten":
            return picture + alpha * contrast * 0.7 * (1 - picture)
        case "gain":
            return picture * (1 + alpha * contrast)
        case "level":
            return picture + alpha * contrast * (float(of["level"]) - picture)
        case "grain":
            light = blurred(picture, _GRAIN)
            grain, gloss = float(of["grain"]), float(of["gloss"])
            change: Picture = grain * (picture - light) + gloss * light
            return picture + alpha * change
        case "surface":
            other, own = _shifted(donor, of), float(of["own_light"])
            relit: Picture = other + own * (blurred(picture, _GRAIN) - blurred(other, _GRAIN))
            return picture + alpha * (relit - picture)
        case _:
            return picture + alpha * contrast * (_shifted(donor, of) - picture)


def _shifted(donor: Picture, of: Parameters) -> Picture:
    axis = int(of["shift_axis"])
    return np.asarray(np.roll(donor, round(float(of["shift"]) * donor.shape[axis]), axis), np.float32)


TRANSFORMS = tuple(
    Transform(shape, partial(draw_painted, shape), partial(painted, shape)) for shape in SHAPES
)
