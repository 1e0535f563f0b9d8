"""``synthetic:`` renders a brushed metal part with random defects, from the seed and the sequence alone."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from producers.sources.address import SyntheticOptions
from producers.sources.pacing import Pacer
from producers.sources.source import Capture, FrameSource
from steadyline.clock import Clock
from steadyline.picture import Channels, Pixels

Kind = Literal["scratch", "spot", "hole", "stain"]
_KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Defect:
    """The true defect of one frame: kind, centre and radius in fractions of the side, angle in radians."""

    kind: Kind
    x: float
    y: float
    radius: float
    angle: float


def truth(options: SyntheticOptions, sequence: int) -> Defect | None:
    """Return the defect of frame ``sequence`` (from 1), or None for a good part."""
    chance = _generator(options, sequence, 1)
    if chance.random() >= options.defect_rate:
        return None
    kind = _KINDS[int(chance.integers(len(_KINDS)))]
    x, y = chance.uniform(0.2, 0.8, 2)
    return Defect(
        kind, float(x), float(y), float(chance.uniform(0.06, 0.14)), float(chance.uniform(0, np.pi))
    )


def truth_mask(options: SyntheticOptions, sequence: int) -> NDArray[np.bool_]:
    """Return (size, size) bool: True where the defect of frame ``sequence`` is."""
    defect = truth(options, sequence)
    if defect is None:
        return np.zeros((options.size, options.size), bool)
    return _weight(defect, options.size) > 0.25


def render(options: SyntheticOptions, sequence: int) -> Pixels:
    """Return frame ``sequence`` as (size, size) uint8: the part, its lighting, sensor noise, its defect."""
    chance = _generator(options, sequence, 2)
    size = options.size
    pixels = np.roll(_part(size, options.seed), chance.integers(-2, 3, 2), axis=(0, 1)).copy()
    defect = truth(options, sequence)
    if defect is not None:
        weight = _weight(defect, size)
        pixels += weight * (_tone(defect.kind) - pixels)
    pixels *= chance.uniform(0.95, 1.05)
    pixels += chance.normal(0, 2.0, (size, size)).astype(np.float32)
    return np.clip(pixels, 0, 255).astype(np.uint8)


class SyntheticSource(FrameSource):
    """Captures the frames 1, 2, 3 … of ``options``, so that the source's count is the frame's sequence."""

    def __init__(self, options: SyntheticOptions, channels: Channels, clock: Clock) -> None:
        self._options = options
        self._channels = channels
        self._clock = clock
        self._pacer = Pacer(options.fps, clock)
        self._sequence = 0
        self._kept: dict[int, Pixels] = {}

    @property
    @override
    def expected_fps(self) -> float | None:
        return self._options.fps or None

    @override
    def captures(self, stop: threading.Event) -> Iterator[Capture]:
        while not self._pacer.wait(stop):
            self._sequence += 1
            yield Capture(self._clock.now(), self._picture(self._sequence))

    def _picture(self, sequence: int) -> Pixels:
        distinct = self._options.distinct
        number = (sequence - 1) % distinct + 1 if distinct else sequence
        if number in self._kept:
            return self._kept[number]
        gray = render(self._options, number)
        pixels = gray if self._channels == "gray" else np.repeat(gray[..., None], 3, axis=2)
        if distinct:
            self._kept[number] = pixels
        return pixels


def _generator(options: SyntheticOptions, sequence: int, purpose: int) -> np.random.Generator:
    number = (sequence - 1) % options.distinct + 1 if options.distinct else sequence
    return np.random.default_rng((options.seed, number, purpose))


@lru_cache(maxsize=8)
def _part(size: int, seed: int) -> NDArray[np.float32]:
    """Return brushed metal with four bolts and a groove, (size, size) float32 in 0..255."""
    chance = np.random.default_rng((seed, 0, 3))
    brushed = chance.normal(0, 1, (size, size))
    kernel = np.ones(max(3, size // 10)) / max(3, size // 10) ** 0.5
    brushed = np.apply_along_axis(lambda row: np.convolve(row, kernel, "same"), 1, brushed)
    y, x = _grid(size)
    part = 130 + 8 * brushed + 12 * np.sin(6 * np.pi * y)
    for cx, cy in ((0.15, 0.15), (0.85, 0.15), (0.15, 0.85), (0.85, 0.85)):
        distance = np.hypot(x - cx, y - cy)
        part = np.where(distance < 0.07, 80 + 400 * distance, part)
    part = np.where(np.abs(np.hypot(x - 0.5, y - 0.5) - 0.33) < 0.012, 70, part)
    return part.astype(np.float32)


def _grid(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    axis = (np.arange(size) + 0.5) / size
    y, x = np.meshgrid(axis, axis, indexing="ij")
    return y, x


def _weight(defect: Defect, size: int) -> NDArray[np.float32]:
    """Return how much each pixel belongs to the defect, 0 to 1."""
    y, x = _grid(size)
    dx, dy = x - defect.x, y - defect.y
    along = dx * np.cos(defect.angle) + dy * np.sin(defect.angle)
    across = -dx * np.sin(defect.angle) + dy * np.cos(defect.angle)
    if defect.kind == "scratch":
        distance = np.hypot(np.maximum(np.abs(along) - defect.radius, 0), across) / max(0.012, 1.0 / size)
    elif defect.kind == "stain":
        wobble = 1 + 0.3 * np.sin(3 * np.arctan2(dy, dx) + defect.angle)
        distance = np.hypot(along, across * 1.5) / (defect.radius * wobble)
    else:
        distance = np.hypot(dx, dy) / (defect.radius * (0.5 if defect.kind == "spot" else 0.7))
    strength = 0.5 if defect.kind == "stain" else 1.0
    weight: NDArray[np.float32] = (strength * np.clip(1.5 - distance, 0, 1)).astype(np.float32)
    return weight


def _tone(kind: Kind) -> float:
    return {"scratch": 235.0, "spot": 30.0, "hole": 5.0, "stain": 0.0}[kind]
