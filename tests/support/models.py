"""Tiny ONNX models that obey the inference contract and whose answers are known by hand.

``Contrast``: map = gain * mean absolute deviation of each 8x8 patch from its own mean, in [0, 0.5] * gain;
score = the map's maximum. Versions differ by their gain, so a score tells which version gave it. Where it
is certified, its certified score is the mean of all pixels in [0, 1]. Where it has halves, the first has the
score and the second one half of it.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from steadyline.contracts.model_event import (
    PRODUCT_WIDE,
    Calibration,
    Change,
    Model,
    ModelEvent,
    Package,
    Probe,
)
from steadyline.grid import Grid
from steadyline.inference import CERTIFIED_SCORE, HALVES, Inferred, Pixels
from steadyline.picture import encode_png
from steadyline.triton import TritonClient
from steadyline.triton_config import ServedShape, Serving, config_pbtxt

PATCH = 8
CERTIFIED = Calibration(scores=[0.25, 0.5], threshold=0.5, achieved_rate=1 / 3)  # of a certified ``Contrast``


@dataclass(frozen=True, slots=True)
class Contrast:
    """What one version is made of. ``layers`` convolutions of 32 channels make it as slow as a real one."""

    size: int = 32
    gain: float = 1.0
    layers: int = 0
    is_certified: bool = False
    width: int | None = None  # where it is not the height
    has_halves: bool = False

    @property
    def grid(self) -> Grid:
        """Height and width of its input."""
        return Grid.of(self.size, self.width)

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of its map."""
        return self.grid.height // PATCH, self.grid.width // PATCH

    def answer(self, pictures: Pixels) -> Inferred:
        """Return what the ONNX model answers, computed with numpy; ``pictures`` (B, H, W, 1) uint8."""
        rows, columns = self.cells
        values = pictures[..., 0].astype(np.float32) / 255
        patches = values.reshape(len(pictures), rows, PATCH, columns, PATCH)
        means = patches.mean(axis=(2, 4), keepdims=True, dtype=np.float32)
        maps = (self.gain * np.abs(patches - means).mean(axis=(2, 4))).astype(np.float32)
        certified = values.mean(axis=(1, 2), dtype=np.float32) if self.is_certified else None
        scores = maps.max(axis=(1, 2))
        halves = np.stack([scores, scores * np.float32(0.5)], 1) if self.has_halves else None
        return Inferred(scores, maps, certified, halves)

    def onnx(self) -> bytes:
        """Return the model file."""
        rows, columns = self.cells
        constants: dict[str, NDArray[Any]] = {
            "cells_shape": np.array([-1, rows, PATCH, columns, PATCH], np.int64),
            "axes": np.array([2, 4], np.int64),
            "map_axes": np.array([1, 2], np.int64),
            "full": np.array(255.0, np.float32),
            "gain": np.array(self.gain, np.float32),
        }
        nodes = [
            helper.make_node("Cast", ["picture"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("Div", ["floats", "full"], ["values"]),
            helper.make_node("Reshape", ["values", "cells_shape"], ["patches"]),
            helper.make_node("ReduceMean", ["patches", "axes"], ["means"], keepdims=1),
            helper.make_node("Sub", ["patches", "means"], ["differences"]),
            helper.make_node("Abs", ["differences"], ["deviations"]),
            helper.make_node("ReduceMean", ["deviations", "axes"], ["contrast"], keepdims=0),
            helper.make_node("Mul", ["contrast", "gain"], ["plain_map"]),
            *_load(self, constants),
            helper.make_node("Add", ["plain_map", "nothing"], ["map"]),
            helper.make_node("ReduceMax", ["map", "map_axes"], ["score"], keepdims=0),
        ]
        outputs = [
            helper.make_tensor_value_info("score", TensorProto.FLOAT, ["B"]),
            helper.make_tensor_value_info("map", TensorProto.FLOAT, ["B", rows, columns]),
        ]
        if self.is_certified:
            constants["all_axes"] = np.array([1, 2, 3], np.int64)
            nodes.append(
                helper.make_node("ReduceMean", ["values", "all_axes"], [CERTIFIED_SCORE], keepdims=0)
            )
            outputs.append(helper.make_tensor_value_info(CERTIFIED_SCORE, TensorProto.FLOAT, ["B"]))
        if self.has_halves:
            nodes += _halves(constants)
            outputs.append(helper.make_tensor_value_info(HALVES, TensorProto.FLOAT, ["B", 2]))
        graph = helper.make_graph(
            nodes,
            "contrast",
            [helper.make_tensor_value_info("picture", TensorProto.UINT8, ["B", *self.grid, 1])],
            outputs,
            [_tensor(name, array) for name, array in constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())

    def config(self, name: str) -> bytes:
        """Return config.pbtxt as the trainer writes it."""
        served = ServedShape(name, self.grid, 1, *self.cells, self.is_certified, self.has_halves)
        return config_pbtxt(served, Serving()).encode()

    def event_model(self, version: int, threshold: float = 0.2, threshold_version: int = 1) -> Model:
        """Return the model as events carry it: two probes, 99 calibration scores up to the threshold."""
        pictures = np.stack([a_plain_picture(self.grid), a_defective_picture(self.grid)])[..., None]
        answer = self.answer(pictures)
        proven = [None, None] if answer.certified_scores is None else answer.certified_scores.tolist()
        ladder = [self.gain * threshold * (step + 1) / 99 for step in range(99)]
        calibration = Calibration(scores=ladder, threshold=self.gain * threshold, achieved_rate=0.01)
        return Model(
            version=version,
            detector="contrast",
            state="live",
            reason="made by hand",
            trained_at=datetime(2026, 1, 1, tzinfo=UTC),
            size=self.size,
            width=self.width,
            channels="gray",
            package=Package(uri="memory://nowhere", digests={}),
            threshold_version=threshold_version,
            calibrations={PRODUCT_WIDE: calibration},
            probes=[
                Probe(
                    picture_png=base64.b64encode(encode_png(picture[..., 0])).decode(),
                    score=float(score),
                    tolerance=1e-4,
                    certified_score=certified,
                )
                for picture, score, certified in zip(pictures, answer.scores, proven, strict=True)
            ],
            lineage={},
            figures={},
            certified_calibrations={PRODUCT_WIDE: CERTIFIED} if self.is_certified else {},
            halves=["loud", "quiet"] if self.has_halves else [],
        )


def _halves(constants: dict[str, NDArray[Any]]) -> list[onnx.NodeProto]:
    """Return the nodes that make both halves of a score: itself, and one half of it."""
    constants["column"] = np.array([1], np.int64)
    constants["half"] = np.array(0.5, np.float32)
    return [
        helper.make_node("Unsqueeze", ["score", "column"], ["first"]),
        helper.make_node("Mul", ["first", "half"], ["second"]),
        helper.make_node("Concat", ["first", "second"], [HALVES], axis=1),
    ]


def a_plain_picture(size: int | Grid, level: int = 120) -> NDArray[np.uint8]:
    """Return an even part, (H, W) uint8, of a grid or of the side of a square: contrast 0, normal."""
    return np.full(Grid.square(size) if isinstance(size, int) else size, level, np.uint8)


def a_defective_picture(size: int | Grid, cell: int = 0) -> NDArray[np.uint8]:
    """Return an even part with one checkered patch (row-major ``cell``): contrast 0.5, anomalous."""
    picture = a_plain_picture(size)
    row, column = divmod(cell, picture.shape[1] // PATCH)
    checks = (np.indices((PATCH, PATCH)).sum(axis=0) % 2 * 255).astype(np.uint8)
    picture[row * PATCH : (row + 1) * PATCH, column * PATCH : (column + 1) * PATCH] = checks
    return picture


def publish_version(repository: Path, name: str, version: int, model: Contrast, keep: int = 2) -> None:
    """Put a version into a Triton repository whole, and take out all but the last ``keep``."""
    folder = repository / name
    folder.mkdir(parents=True, exist_ok=True)
    half = folder / f".half{version}"
    half.mkdir()
    (half / "model.onnx").write_bytes(model.onnx())
    half.rename(folder / str(version))
    (folder / "config.pbtxt").write_bytes(model.config(name))
    versions = sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdigit())
    for old in versions[:-keep]:
        (folder / str(old) / "model.onnx").unlink()
        (folder / str(old)).rmdir()


def serve_version(triton: TritonClient, repository: Path, name: str, version: int, model: Contrast) -> None:
    """Publish a version and load it."""
    publish_version(repository, name, version, model)
    triton.load(name)


def model_event(product: str, models: Sequence[Model], live: int | None) -> ModelEvent:
    """Return the event that says which of ``models`` is in service."""
    now = datetime.now(UTC)
    changes = [
        Change(at=now, version=item.version, before="candidate", after="live", reason="made by hand")
        for item in models
        if item.version == live
    ]
    return ModelEvent(product=product, at=now, live_version=live, models=list(models), changes=changes)


def _load(model: Contrast, constants: dict[str, NDArray[Any]]) -> list[onnx.NodeProto]:
    """Return nodes that cost as much as a small network and add exactly nothing to the map."""
    if model.layers == 0:
        constants["nothing"] = np.array(0.0, np.float32)
        return []
    seed = int.from_bytes(hashlib.sha256(b"contrast").digest()[:4], "big")
    chance = np.random.default_rng(seed)
    constants |= {
        "channels_first": np.array([-1, 1, model.size, model.size], np.int64),
        "zero": np.array(0.0, np.float32),
        "load_axes": np.array([1, 2, 3], np.int64),
        "one_cell": np.array([-1, 1, 1], np.int64),
    }
    nodes = [helper.make_node("Reshape", ["values", "channels_first"], ["layer0"])]
    for layer in range(model.layers):
        inputs = 1 if layer == 0 else 32
        constants[f"kernel{layer}"] = (chance.standard_normal((32, inputs, 3, 3)) * 0.08).astype(np.float32)
        stride = 2 if layer == 0 else 1
        nodes += [
            helper.make_node(
                "Conv",
                [f"layer{layer}", f"kernel{layer}"],
                [f"wide{layer}"],
                pads=[1, 1, 1, 1],
                strides=[stride, stride],
            ),
            helper.make_node("Relu", [f"wide{layer}"], [f"layer{layer + 1}"]),
        ]
    return [
        *nodes,
        helper.make_node("ReduceMean", [f"layer{model.layers}", "load_axes"], ["load"], keepdims=0),
        helper.make_node("Mul", ["load", "zero"], ["no_load"]),
        helper.make_node("Reshape", ["no_load", "one_cell"], ["nothing"]),
    ]


def _tensor(name: str, array: NDArray[Any]) -> onnx.TensorProto:
    return onnx.numpy_helper.from_array(array, name)
