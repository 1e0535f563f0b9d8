"""Frames as cameras send them, with the scores that torch gives to their bytes: the parity of a version."""

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image

from steadyline.contracts.model_event import EncodedProbe
from steadyline.grid import Grid
from steadyline.parity import ENCODED_LIMITS, peak_of
from steadyline.picture import Channels, decode, encode_jpeg, encode_png, inspect
from steadyline.prepare import prepare
from trainer.arrays import Pictures
from trainer.detector_protocol import Served

LONGER_SIDE = 80  # pixels of such a frame: with ten versions an event has half a megabyte of them
_QUALITY = 90
_ORIENTATION, _TURNED = 0x0112, 6  # EXIF's tag, and "turn a quarter to the right"
_SIXTEEN_BITS = 257  # times 8 bits


def encoded_probes(
    module: Served, picture: Pictures, channels: Channels, tolerance: float
) -> list[EncodedProbe]:
    """Return a frame in every encoding, with its score and its peak by the module in torch.

    ``picture`` (H, W, C) uint8 is one that the module finds anomalous, so that a score moves when a frame is
    read in another way. Frames are of another size than the model's input: the resize is part of it.
    """
    grid = Grid(*picture.shape[:2])
    frame = _as_a_camera_sees_it(picture)
    found = []
    for encoding, encode in ENCODINGS.items():
        data = encode(frame)
        seen = prepare(decode(data, inspect(data, ENCODED_LIMITS), channels), grid, channels)
        with torch.inference_mode():
            scores, maps = module(torch.from_numpy(seen[None]))[:2]
        x, y = peak_of(maps[0].numpy())
        known = {"score": float(scores[0]), "tolerance": tolerance, "x": x, "y": y}
        text = base64.b64encode(data).decode()
        found.append(EncodedProbe(encoding=encoding, frame=text, **known))
    return found


def _as_a_camera_sees_it(picture: Pictures) -> Pictures:
    """Return a gray frame (h, w) of a picture (H, W, C), its longer side LONGER_SIDE."""
    height, width, _ = picture.shape
    longer = max(height, width)
    high, wide = (max(8, round(side * LONGER_SIDE / longer)) for side in (height, width))
    return prepare(picture, Grid(high, wide), "gray")[..., 0]


def _colour(frame: Pictures) -> bytes:
    """Return a frame of other contrast in each colour, so that none of them passes for another."""
    return encode_png(np.stack([frame, frame // 2, frame // 4], axis=2), level=9)


def _turned(frame: Pictures) -> bytes:
    exif, target = Image.Exif(), io.BytesIO()
    exif[_ORIENTATION] = _TURNED
    lying = Image.fromarray(np.ascontiguousarray(np.rot90(frame)))  # a quarter to the left
    lying.save(target, "JPEG", quality=_QUALITY, exif=exif)
    return target.getvalue()


def _deep(frame: Pictures) -> bytes:
    target = io.BytesIO()
    Image.fromarray(frame.astype(np.uint16) * _SIXTEEN_BITS).save(target, "PNG", compress_level=9)
    return target.getvalue()


ENCODINGS: dict[str, Callable[[Any], bytes]] = {
    "jpeg": lambda frame: encode_jpeg(frame, _QUALITY),
    "png": lambda frame: encode_png(frame, level=9),
    "colour-png": _colour,
    "turned-jpeg": _turned,
    "png-of-16-bits": _deep,
}
