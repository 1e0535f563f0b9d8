"""Exports a torch module as an ONNX graph, and refuses a graph that does not answer as torch does."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from steadyline.errors import ContractBroken
from steadyline.grid import Grid
from steadyline.inference import CERTIFIED_ROUNDING, CERTIFIED_SCORE, HALVES
from trainer.arrays import Pictures
from trainer.detector_protocol import Served

OPSET = 18  # old enough for the Triton releases of the last years
BATCH_SIZES = (
    1,
    3,
)  # tried besides as many as the grid allows: a graph with a fixed batch size fails here

# Summing in another order moves a float32 result by about 1e-6 of the output's spread. A thousandth is far
# above that, and far below the gap between a normal and an anomalous score.
LARGEST_DIFFERENCE = 1e-3

OUTPUTS = ("score", "map")  # of every module; ``Served.output_names`` may say that there are more

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Exported:
    """An exported graph, the shape of its map, and its largest differences from torch as fractions of the
    spread of torch's outputs. A certified score differs by at most CERTIFIED_ROUNDING.
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
    def input_shape(self) -> tuple[Grid, int]:
        """Return the grid and the channels of the pictures that the graph takes."""
        _batch, height, width, channels = self._session.get_inputs()[0].shape
        return Grid(height, width), channels

    def __call__(self, pictures: Pictures) -> tuple[Floats, Floats]:
        """Return scores (B,) and maps (B, h, w) of pictures (B, H, W, C)."""
        score, anomaly_map = self._session.run([*OUTPUTS], {"picture": pictures})
        return score, anomaly_map

    @property
    def is_certified(self) -> bool:
        """True when the graph has a certified part."""
        return CERTIFIED_SCORE in [output.name for output in self._session.get_outputs()]

    def certified_scores(self, pictures: Pictures) -> Floats:
        """Return the certified scores (B,) of pictures (B, H, W, C), of a graph that has a certified part."""
        found: Floats = self._session.run([CERTIFIED_SCORE], {"picture": pictures})[0]
        return found

    def outputs(self, pictures: Pictures) -> list[Floats]:
        """Return everything that the graph answers, from one run, as a server is asked."""
        found: list[Floats] = self._session.run(None, {"picture": pictures})
        return found


def export(module: nn.Module, pictures: Pictures) -> Exported:
    """Return ``module`` as ONNX, compared with torch on ``pictures`` (N, H, W, C; real and adversarial).

    A black and a white picture are added: they silence channels, and so they reveal a division whose guard
    only torch keeps (the exporter folds a ``+ 1e-10`` away).
    Raises ContractBroken when shapes, finiteness or values differ.
    """
    module = module.eval().cpu()
    edges = np.stack([np.zeros_like(pictures[0]), np.full_like(pictures[0], 255)])
    pictures = np.concatenate([pictures, edges])
    most = Grid(*pictures.shape[1:3]).batch(len(pictures))
    expected = _outputs(module, pictures, most)
    more = (*OUTPUTS, CERTIFIED_SCORE)[: len(expected)]
    names = module.output_names if isinstance(module, Served) else more
    _check_contract(names, expected, len(pictures))
    model = _to_onnx(module, pictures[:2], names)
    run = OnnxModel(model)
    worst, apart = np.zeros(len(expected)), [0.0]
    exact = np.array([name == CERTIFIED_SCORE for name in names])
    for size in (*BATCH_SIZES, most):
        for start in range(0, min(len(pictures), 4 * size), size):
            found = run.outputs(pictures[start : start + size])
            wanted = [output[start : start + size] for output in expected]
            worst = np.maximum(worst, np.where(exact, 0.0, _differences(found, wanted, expected)))
            apart += [float(np.abs(found[at] - wanted[at]).max()) for at in np.flatnonzero(exact)]
    if not np.all(worst <= LARGEST_DIFFERENCE):
        raise ContractBroken(
            f"the exported graph differs from torch by {worst[0]:.2e} (score) and {worst[1:].max():.2e} (map "
            f"and halves) of their spread on {len(pictures)} pictures; at most {LARGEST_DIFFERENCE:.0e} is "
            "accepted"
        )
    if not all(one <= CERTIFIED_ROUNDING for one in apart):  # written so that NaN fails too
        raise ContractBroken(
            f"the exported graph's certified score differs from torch by {max(apart):.2e}; margins take for "
            f"granted that it differs by at most {CERTIFIED_ROUNDING:.0e}"
        )
    map_height, map_width = expected[1].shape[1:]
    return Exported(model, map_height, map_width, float(worst[0]), float(worst[1]))


def _outputs(module: nn.Module, pictures: Pictures, most: int) -> list[Floats]:
    """Return what torch answers, asked for ``most`` pictures at a time."""
    with torch.inference_mode():
        parts = [module(part) for part in torch.split(torch.from_numpy(pictures), most)]
    return [torch.cat(outputs).numpy() for outputs in zip(*parts, strict=True)]


def _to_onnx(module: nn.Module, example: Pictures, outputs: Sequence[str]) -> bytes:
    """Export by torch.export (the TorchScript way is deprecated); only the batch dimension is free."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    program = torch.onnx.export(
        module,
        (torch.from_numpy(example),),
        dynamo=True,
        opset_version=OPSET,
        input_names=["picture"],
        output_names=outputs,
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


def _check_contract(names: Sequence[str], outputs: Sequence[Floats], count: int) -> None:
    score, anomaly_map, *others = outputs
    if score.shape != (count,) or anomaly_map.ndim != 3 or anomaly_map.shape[0] != count:
        raise ContractBroken(
            f"score is {score.shape} and map {anomaly_map.shape}; ({count},) and ({count}, h, w) are due"
        )
    for name, one in zip(names[2:], others, strict=True):
        due = (count, 2) if name == HALVES else (count,)
        if one.shape != due:
            raise ContractBroken(f"the {name.replace('_', ' ')} is {one.shape}; {due} is due")
    if any(output.dtype != np.float32 for output in outputs):
        raise ContractBroken(f"the outputs are {[str(one.dtype) for one in outputs]}; float32 is due")
    if not all(np.isfinite(output).all() for output in outputs):
        raise ContractBroken("the module answers with NaN or infinity")


def _differences(
    answer: Sequence[Floats], wanted: Sequence[Floats], everything: Sequence[Floats]
) -> NDArray[np.float64]:
    """Return the largest difference of each output as a fraction of its spread; infinity for NaN."""
    found = []
    for got, due, whole in zip(answer, wanted, everything, strict=True):
        if got.shape != due.shape:
            raise ContractBroken(f"the exported graph answers with shape {got.shape} instead of {due.shape}")
        spread = max(float(whole.max() - whole.min()), 1e-2)
        largest = float(np.abs(got - due).max()) / spread
        found.append(largest if np.isfinite(largest) else np.inf)
    return np.array(found)
