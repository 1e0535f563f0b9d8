"""Pieces of pictures in the wrong place: cut-paste scar, cut-permute, cut-out, and a distorted window."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from steadyline.grid import Grid
from trainer.pseudo.canvas import Canvas
from trainer.pseudo.transform import (
    Parameters,
    Picture,
    Transform,
    details,
    grid_of,
    length_of,
    log_uniform,
    new_seed,
    one_of,
)


def draw_scar(rng: Generator) -> Parameters:
    """Choose a rectangle of a normal, its rotation and jitter, and where it is pasted."""
    return {
        "height": log_uniform(rng, 0.02, 0.35),
        "width": log_uniform(rng, 0.02, 0.35),
        "from_x": float(rng.uniform(0, 1)),
        "from_y": float(rng.uniform(0, 1)),
        "to_x": float(rng.uniform(0, 1)),
        "to_y": float(rng.uniform(0, 1)),
        "angle": one_of(rng, 0, 90, float(rng.uniform(0, 360))),
        "contrast": float(rng.uniform(0.5, 2)),
        "brightness": float(rng.uniform(0.4, 1.5)),
        "softness": one_of(rng, 0, 0.7),
    }


def scar(picture: Picture, donor: Picture, of: Parameters) -> Picture:
    """Return ``picture`` with a turned, jittered rectangle of ``donor`` (cut-paste scar, Li et al. 2021)."""
    grid = grid_of(picture)
    high, wide = (length_of(grid, of[side], 2) for side in ("height", "width"))
    y, x = round(float(of["from_y"]) * (grid.height - high)), round(float(of["from_x"]) * (grid.width - wide))
    piece = donor[y : y + high, x : x + wide]
    mean = piece.mean()
    piece = (piece - mean) * float(of["contrast"]) + mean * float(of["brightness"])
    turned = _turned(np.clip(piece, 0, 1), float(of["angle"]))
    high, wide = turned.shape[:2]
    # A third of the piece may extend beyond the border.
    top = round(float(of["to_y"]) * (grid.height - high + 2 * (high // 3))) - high // 3
    left = round(float(of["to_x"]) * (grid.width - wide + 2 * (wide // 3))) - wide // 3
    alpha = _rectangle(grid, of, top + high / 2, left + wide / 2)[..., None]
    layer = _laid(np.zeros_like(picture), turned, top, left)
    return np.asarray(picture * (1 - alpha) + layer * alpha, np.float32)


def draw_permute(rng: Generator) -> Parameters:
    """Choose two different quarters to swap."""
    first, second = rng.choice(4, 2, replace=False).tolist()
    return {"first": int(first), "second": int(second)}


def permute(picture: Picture, donor: Picture, of: Parameters) -> Picture:
    """Return ``picture`` with two of its quarters swapped."""
    down, right = (side // 2 for side in grid_of(picture))
    corners = [(y, x) for y in (0, down) for x in (0, right)]
    (y1, x1), (y2, x2) = corners[int(of["first"])], corners[int(of["second"])]
    found = picture.copy()
    found[y1 : y1 + down, x1 : x1 + right] = picture[y2 : y2 + down, x2 : x2 + right]
    found[y2 : y2 + down, x2 : x2 + right] = picture[y1 : y1 + down, x1 : x1 + right]
    return found


def draw_cut_out(rng: Generator) -> Parameters:
    """Choose a rectangle and the level that fills it."""
    return {
        "height": log_uniform(rng, 0.05, 0.4),
        "width": log_uniform(rng, 0.05, 0.4),
        "x": float(rng.uniform(0, 1)),
        "y": float(rng.uniform(0, 1)),
        "level": float(rng.uniform(0, 1)),
    }


def cut_out(picture: Picture, donor: Picture, of: Parameters) -> Picture:
    """Return ``picture`` with a rectangle filled by one level."""
    grid = grid_of(picture)
    high, wide = (length_of(grid, of[side], 2) for side in ("height", "width"))
    y, x = round(float(of["y"]) * (grid.height - high)), round(float(of["x"]) * (grid.width - wide))
    found = picture.copy()
    found[y : y + high, x : x + wide] = float(of["level"])
    return found


_WINDOWS = ("turn", "foreign", "blur", "noise")


def draw_window(rng: Generator) -> Parameters:
    """Choose a square window and what happens inside it."""
    return {
        "side": float(rng.uniform(0.1, 0.33)),
        "x": float(rng.uniform(0, 1)),
        "y": float(rng.uniform(0, 1)),
        "from_x": float(rng.uniform(0, 1)),
        "from_y": float(rng.uniform(0, 1)),
        "kind": _WINDOWS[int(rng.integers(len(_WINDOWS)))],
        "turns": int(rng.integers(1, 4)),
        "strength": float(rng.uniform(0, 1)),
        "grain": int(one_of(rng, 1, 2, 4)),
        "seed": new_seed(rng),
    }


def window(picture: Picture, donor: Picture, of: Parameters) -> Picture:
    """Return ``picture`` with a window that is turned, taken from ``donor``, blurred, or noisy."""
    grid = grid_of(picture)
    side = length_of(grid, of["side"], 4)
    y, x = round(float(of["y"]) * (grid.height - side)), round(float(of["x"]) * (grid.width - side))
    found = picture.copy()
    found[y : y + side, x : x + side] = _window(picture[y : y + side, x : x + side], donor, of)
    return found


def _window(inside: Picture, donor: Picture, of: Parameters) -> Picture:
    side, grid, strength = inside.shape[0], grid_of(donor), float(of["strength"])
    match of["kind"]:
        case "turn":
            return np.rot90(inside, int(of["turns"]))
        case "foreign":
            y = round(float(of["from_y"]) * (grid.height - side))
            x = round(float(of["from_x"]) * (grid.width - side))
            return donor[y : y + side, x : x + side]
        case "blur":
            return _blurred(inside, grid.shorter / 256 * (2 + 4 * strength))
        case _:
            knots = max(2, side // int(of["grain"]))
            rough = Image.fromarray(details(of).standard_normal((knots, knots)).astype(np.float32))
            noise = np.asarray(rough.resize((side, side), Image.Resampling.BILINEAR))[..., None]
            return np.asarray(np.clip(inside + noise * (0.05 + 0.15 * strength), 0, 1), np.float32)


def _rectangle(grid: Grid, of: Parameters, y: float, x: float) -> NDArray[np.float32]:
    """Return the mask of the turned rectangle, centred at (y, x)."""
    canvas = Canvas(grid)
    scale = canvas.factor
    high, wide = (length_of(grid, of[side], 2) * scale for side in ("height", "width"))
    angle = np.deg2rad(float(of["angle"]))
    corners = np.array([[-wide, -high], [wide, -high], [wide, high], [-wide, high]]) / 2
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = corners @ turn + np.array([x, y]) * scale
    canvas.draw.polygon([(float(u), float(v)) for u, v in points], fill=255)
    return canvas.alpha(float(of["softness"]))


def _turned(piece: Picture, angle: float) -> Picture:
    """Turn by ``angle`` degrees; corners outside of the piece repeat its nearest pixels."""
    reach = max(piece.shape[:2])
    padded = np.pad(piece, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    planes = [
        np.asarray(
            Image.fromarray(padded[..., plane]).rotate(angle, Image.Resampling.BILINEAR), dtype=np.float32
        )
        for plane in range(piece.shape[2])
    ]
    whole = np.stack(planes, axis=2)
    radians = np.deg2rad(angle)
    cos, sin = abs(np.cos(radians)), abs(np.sin(radians))
    high = min(whole.shape[0], int(np.ceil(piece.shape[0] * cos + piece.shape[1] * sin)))
    wide = min(whole.shape[1], int(np.ceil(piece.shape[1] * cos + piece.shape[0] * sin)))
    top, left = (whole.shape[0] - high) // 2, (whole.shape[1] - wide) // 2
    return whole[top : top + high, left : left + wide]


def _laid(ground: Picture, piece: Picture, top: int, left: int) -> Picture:
    """Lay ``piece`` on ``ground``; its corner may lie outside of ``ground``."""
    y0, x0 = max(0, top), max(0, left)
    y1, x1 = min(ground.shape[0], top + piece.shape[0]), min(ground.shape[1], left + piece.shape[1])
    ground[y0:y1, x0:x1] = piece[y0 - top : y1 - top, x0 - left : x1 - left]
    return ground


def _blurred(inside: Picture, radius: float) -> Picture:
    blur = ImageFilter.GaussianBlur(radius)
    planes = [
        np.asarray(Image.fromarray((inside[..., plane] * 255).astype(np.uint8)).filter(blur), np.float32)
        / 255
        for plane in range(inside.shape[2])
    ]
    return np.stack(planes, axis=2)


TRANSFORMS = (
    Transform("scar", draw_scar, scar),
    Transform("permute", draw_permute, permute),
    Transform("cut-out", draw_cut_out, cut_out),
    Transform("window", draw_window, window),
)
