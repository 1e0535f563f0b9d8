"""Where a painted defect lies: polygons, cracks, streaks, dots, blobs and margins, as anti-aliased masks."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from steadyline.grid import Grid
from trainer.pseudo.canvas import Canvas, smooth_noise
from trainer.pseudo.transform import Alpha, Parameters, details, log_uniform, new_seed, one_of

Shape = Callable[[Grid, Parameters], Alpha]
DrawShape = Callable[[Generator], Parameters]

_EDGE_STEPS = 33  # points along the edge of a margin
_AT_BORDER = 0.45  # share of polygons at the border, where parts break off


def draw_polygon(rng: Generator) -> Parameters:
    """Choose the polygon of a break or a stain."""
    x, y = rng.uniform(0, 1, 2).tolist()
    if rng.random() < _AT_BORDER:
        edge = float(rng.integers(2))
        x, y = (edge, y) if rng.random() < 0.5 else (x, edge)
    return {
        "x": x,
        "y": y,
        "radius": log_uniform(rng, 0.03, 0.4),
        "corners": int(rng.integers(3, 8)),
        "stretch": float(np.exp(rng.uniform(-1, 1))),
        "angle": float(rng.uniform(0, np.pi)),
        "softness": one_of(rng, 0, 0.7, 2, 5),
        "seed": new_seed(rng),
    }


def polygon(grid: Grid, of: Parameters) -> Alpha:
    """Return the mask of a polygon around (x, y); its corners are ordered by their angle."""
    rng, canvas = details(of), Canvas(grid)
    corners = int(of["corners"])
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    reach = canvas.side * float(of["radius"]) * rng.uniform(0.3, 1.0, corners)
    stretch, angle = float(of["stretch"]), float(of["angle"])
    along, across = reach * np.cos(angles) * stretch, reach * np.sin(angles) / stretch
    xs = along * np.cos(angle) - across * np.sin(angle) + float(of["x"]) * canvas.width
    ys = along * np.sin(angle) + across * np.cos(angle) + float(of["y"]) * canvas.height
    canvas.draw.polygon(list(zip(xs.tolist(), ys.tolist(), strict=True)), fill=255)
    return canvas.alpha(float(of["softness"]))


def draw_crack(rng: Generator) -> Parameters:
    """Choose a crack; two in five cracks branch."""
    return {
        "x": float(rng.uniform(0, 1)),
        "y": float(rng.uniform(0, 1)),
        "width": one_of(rng, 1, 1, 1, 2, 2, 3, 4),
        "branches": 1 + int(rng.random() < 0.4) * int(rng.integers(1, 4)),
        "wander": one_of(rng, 0.02, 0.1, 0.3),
        "softness": one_of(rng, 0, 0.5, 1),
        "seed": new_seed(rng),
    }


def crack(grid: Grid, of: Parameters) -> Alpha:
    """Return the mask of random walks from one point; each step is 1/40 of the shorter side."""
    rng, canvas = details(of), Canvas(grid)
    start = np.array([float(of["x"]) * canvas.width, float(of["y"]) * canvas.height])
    for _ in range(int(of["branches"])):
        turns = rng.standard_normal(int(rng.integers(4, 45))) * float(of["wander"])
        heading = rng.uniform(0, 2 * np.pi) + np.cumsum(turns)
        steps = np.stack([np.cos(heading), np.sin(heading)], axis=1) * canvas.side / 40
        walk = np.concatenate([start[None], start + np.cumsum(steps, axis=0)])
        points = [(float(x), float(y)) for x, y in walk]
        canvas.draw.line(points, fill=255, width=canvas.thickness(float(of["width"])))
    return canvas.alpha(float(of["softness"]))


def draw_streak(rng: Generator) -> Parameters:
    """Choose streaks along one axis, such as scratches, finger interruptions or rolling marks."""
    return {
        "count": int(one_of(rng, 1, 1, 2, 3, 6)),
        "axis": "y" if rng.random() < 0.5 else "x",
        "at": float(rng.uniform(0, 1)),
        "softness": one_of(rng, 0, 0.7, 2),
        "seed": new_seed(rng),
    }


def streak(grid: Grid, of: Parameters) -> Alpha:
    """Return the mask of nearly parallel lines; if there are several, they lie close together."""
    rng, canvas = details(of), Canvas(grid)
    side, count = canvas.side, int(of["count"])
    is_down = of["axis"] == "y"
    beside, along_it = (canvas.width, canvas.height) if is_down else (canvas.height, canvas.width)
    for _ in range(count):
        across = (float(of["at"]) + (rng.standard_normal() * 0.05 if count > 1 else 0)) * beside
        length = side * rng.uniform(0.08, 0.7)
        along = rng.uniform(0, 1) * along_it - length / 4
        lean = rng.standard_normal() * 0.03 * length
        width = canvas.thickness(one_of(rng, 1, 2, 2, 3, 5, 8))
        ends = [(across, along), (across + lean, along + length)]
        points = ends if is_down else [(v, u) for u, v in ends]
        canvas.draw.line(points, fill=255, width=width)
    return canvas.alpha(float(of["softness"]))


def draw_dots(rng: Generator) -> Parameters:
    """Choose one to four spots."""
    return {
        "count": int(one_of(rng, 1, 1, 1, 2, 4)),
        "softness": one_of(rng, 0.5, 1, 2),
        "seed": new_seed(rng),
    }


def dots(grid: Grid, of: Parameters) -> Alpha:
    """Return the mask of ellipses at random places, with axes of 0.8 to 6 % of the shorter side."""
    rng, canvas = details(of), Canvas(grid)
    for _ in range(int(of["count"])):
        x, y = rng.uniform(0, 1, 2) * (canvas.width, canvas.height)
        a, b = (canvas.side * log_uniform(rng, 0.008, 0.06) for _ in range(2))
        canvas.draw.ellipse([x - a, y - b, x + a, y + b], fill=255)
    return canvas.alpha(float(of["softness"]))


def draw_blob(rng: Generator) -> Parameters:
    """Choose a cloudy stain without a definite outline."""
    return {
        "knots": int(one_of(rng, 3, 5, 9, 17)),
        "share": float(rng.uniform(0.015, 0.25)),
        "edge": one_of(rng, 0.02, 0.1, 0.4),
        "seed": new_seed(rng),
    }


def blob(grid: Grid, of: Parameters) -> Alpha:
    """Return smooth noise, thresholded so that its highest ``share`` remains; ``edge`` is the softness."""
    noise = smooth_noise(details(of), grid, int(of["knots"]))
    level = np.quantile(noise, 1 - float(of["share"]))
    edge = max(float(noise.std()) * float(of["edge"]), 1e-6)
    return np.asarray(np.clip((noise - level) / edge, 0, 1), np.float32)


def draw_margin(rng: Generator) -> Parameters:
    """Choose an edge across the part, beyond which a grinding or a coating ends.

    No material is missing there. The gloss or the grain differs, or the surface is that of another part.
    """
    return {
        "angle": float(rng.integers(4) * np.pi / 2 + rng.standard_normal() * 0.2),
        "depth": float(rng.uniform(0.05, 0.6)),
        "bend": one_of(rng, 0, 0.003, 0.01),
        "softness": one_of(rng, 0, 0.7, 2, 5),
        "look": ("darken", "lighten", "gain", "grain", "grain", "surface")[int(rng.integers(6))],
        "grain": float(rng.uniform(-0.8, 2.5)),
        "gloss": float(rng.uniform(-0.1, 0.2)),
        "own_light": float(rng.uniform(0, 1)),
        "seed": new_seed(rng),
    }


def margin(grid: Grid, of: Parameters) -> Alpha:
    """Return the mask from a border up to the edge, which wanders by ``bend`` of a side per step."""
    rng, canvas = details(of), Canvas(grid)
    along = np.linspace(-1, 1, _EDGE_STEPS)
    wander = np.cumsum(rng.standard_normal(_EDGE_STEPS)) * float(of["bend"])
    across = float(of["depth"]) - 0.5 + wander - wander.mean()
    along, across = np.append(along, [1, -1]), np.append(across, [-1, -1])
    angle = float(of["angle"])
    xs = (along * np.cos(angle) - across * np.sin(angle) + 0.5) * canvas.width
    ys = (along * np.sin(angle) + across * np.cos(angle) + 0.5) * canvas.height
    canvas.draw.polygon(list(zip(xs.tolist(), ys.tolist(), strict=True)), fill=255)
    return canvas.alpha(float(of["softness"]))


SHAPES: dict[str, tuple[DrawShape, Shape]] = {
    "polygon": (draw_polygon, polygon),
    "crack": (draw_crack, crack),
    "streak": (draw_streak, streak),
    "dots": (draw_dots, dots),
    "blob": (draw_blob, blob),
    "margin": (draw_margin, margin),
}
