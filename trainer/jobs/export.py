"""Exports a torch module as an ONNX graph, and refuses a graph that does not answer as torch does."""

import logging
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from steadyline.errors import ContractBroken
from trainer.arrays import Pictures

OPSET = 18  # old enough for the Triton releases of the last years
BATCH_SIZES = (1, 3)  # tried besides all pictures at once: a graph with a fixed batch size fails here

# Summing in another order moves a float32 result by about 1e-6 of the output's spread. A thousandth is far
# above that, and far below the gap between a normal and an anomalous score.
LARGEST_DIFFERENCE = 1e-3

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Exported:
    """An exported graph, the shape of its map, and its largest differences from torch as fractions of the
    spread of torch's outputs.
    """

    model: bytes
    map_height: int
    map_width: int
    score_difference: float
    map_difference: float


class OnnxModel:
    """An exported graph, run in this process."""

    def __init__(self, model: bytes, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    @property
    def input_shape(self) -> tuple[int, int]:
        """Return the side (H = W) and the channels of the pictures that the graph takes."""
        _batch, side, _side, channels = self._session.get_inputs()[0].shape
        return side, channels

    def __call__(self, pictures: Pictures) -> tuple[Floats, Floats]:
        """Return scores (B,) and maps (B, h, w) of pictures (B, H, W, C)."""
        score, anomaly_map = self._session.run(["score", "map"], {"picture": pictures})
        return score, anomaly_map


def export(module: nn.Module, pictures: Pictures) -> Exported:
    """Return ``module`` as ONNX, compared with torch on ``pictures`` (N, H, W, C; real and adversarial).

    A black and a white picture are added: they silence channels, and so they reveal a division whose guard
    only torch keeps (the exporter folds a ``+ 1e-10`` away).
    Raises ContractBroken when shapes, finiteness or values differ.
    """
    module = module.eval().cpu()
    edges = np.stack([np.zeros_like(pictures[0]), np.full_like(pictures[0], 255)])
    pictures = np.concatenate([pictures, edges])
    model = _to_onnx(module, pictures[:2])
    with torch.inference_mode():
        score, anomaly_map = module(torch.from_numpy(pictures))
    expected = score.numpy(), anomaly_map.numpy()
    _check_contract(expected, len(pictures))
    run = OnnxModel(model)
    worst = np.zeros(2)
    for size in (*BATCH_SIZES, len(pictures)):
        for start in range(0, min(len(pictures), 4 * size), size):
            answer = run(pictures[start : start + size])
            wanted = expected[0][start : start + size], expected[1][start : start + size]
            worst = np.maximum(worst, _differences(answer, wanted, expected))
    if not np.all(worst <= LARGEST_DIFFERENCE):
        raise ContractBroken(
            f"the exported graph differs from torch by {worst[0]:.2e} (score) and {worst[1]:.2e} (map) of "
            f"their spread on {len(pictures)} pictures; at most {LARGEST_DIFFERENCE:.0e} is accepted"
        )
    return Exported(model, anomaly_map.shape[1], anomaly_map.shape[2], float(worst[0]), float(worst[1]))


def _to_onnx(module: nn.Module, example: Pictures) -> bytes:
    """Export by torch.export (the TorchScript way is deprecated); only the batch dimension is free."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    program = torch.onnx.export(
        module,
        (torch.from_numpy(example),),
        dynamo=True,
        opset_version=OPSET,
        input_names=["picture"],
        output_names=["score", "map"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        verbose=False,
    )
    if program is None:
        raise ContractBroken("torch exported nothing")
    proto = program.model_proto
    _forget_where_it_was_made(proto)
    onnx.checker.check_model(proto)
    return bytes(proto.SerializeToString())


def _forget_where_it_was_made(proto: onnx.ModelProto) -> None:
    """Drop the stack traces that the exporter leaves at every node: they name files of this machine."""
    del proto.metadata_props[:]
    graphs = [proto.graph, *proto.functions]
    for graph in graphs:
        del graph.metadata_props[:]
        for node in graph.node:
            del node.metadata_props[:]
            node.doc_string = ""
    for value in [*proto.graph.input, *proto.graph.output, *proto.graph.value_info]:
        del value.metadata_props[:]


def _check_contract(outputs: tuple[Floats, Floats], count: int) -> None:
    score, anomaly_map = outputs
    if score.shape != (count,) or anomaly_map.ndim != 3 or anomaly_map.shape[0] != count:
        raise ContractBroken(
            f"score is {score.shape} and map {anomaly_map.shape}; ({count},) and ({count}, h, w) are due"
        )
    if score.dtype != np.float32 or anomaly_map.dtype != np.float32:
        raise ContractBroken(f"score is {score.dtype} and map {anomaly_map.dtype}; float32 is due")
    if not (np.isfinite(score).all() and np.isfinite(anomaly_map).all()):
        raise ContractBroken("the module answers with NaN or infinity")


def _differences(
    answer: tuple[Floats, Floats], wanted: tuple[Floats, Floats], everything: tuple[Floats, Floats]
) -> NDArray[np.float64]:
    """Return the largest differences of score and map as fractions of their spread; infinity for NaN."""
    found = []
    for got, due, whole in zip(answer, wanted, everything, strict=True):
        if got.shape != due.shape:
            raise ContractBroken(f"the exported graph answers with shape {got.shape} instead of {due.shape}")
        spread = max(float(whole.max() - whole.min()), 1e-2)
        largest = float(np.abs(got - due).max()) / spread
        found.append(largest if np.isfinite(largest) else np.inf)
    return np.array(found)
