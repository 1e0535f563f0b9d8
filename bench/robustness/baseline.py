"""What the bench asks of a baseline: it can be fitted, and it can be rebuilt from its tensors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from trainer.arrays import Pictures
from trainer.detector_protocol import OnProgress, Served


@dataclass(frozen=True, slots=True)
class BaselineInput:
    """The input of a baseline's fit: normals (N, S, S, C), the profile and its steps, and a seed."""

    normals: Pictures
    profile: str
    steps: int | None
    seed: int


@dataclass(frozen=True, slots=True)
class StoredBaseline:
    """What is stored of a fitted baseline: its tensors, its profile and the channels of its input."""

    profile: str
    channels: int
    weights: Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Baseline:
    """A model that detectors are compared with.

    ``fit`` may write checkpoints into the folder that it is given; ``rebuilt`` raises RuntimeError when the
    tensors do not fit.
    """

    fit: Callable[[BaselineInput, OnProgress, Path], Served]
    rebuilt: Callable[[StoredBaseline], Served]


def filled(module: Served, stored: StoredBaseline) -> Served:
    """Return the module filled with the stored tensors; raises RuntimeError when they do not fit."""
    module.load_state_dict(dict(stored.weights))
    return module.eval()
