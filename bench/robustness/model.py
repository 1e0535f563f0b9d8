"""The form in which the bench evaluates every kind of model: packages of detectors, and baselines."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from steadyline.contracts.model_event import PRODUCT_WIDE
from steadyline.grid import Grid
from steadyline.package import MODEL
from steadyline.picture import Channels
from trainer.detector_protocol import Served
from trainer.folder import open_package


@dataclass(frozen=True, slots=True)
class EvaluatedModel:
    """A model to evaluate: its torch twin, its exported graph and its threshold, calibrated on held-out
    normals.
    """

    module: Served
    graph: bytes
    digest: str
    grid: Grid
    channels: Channels
    threshold: float
    facts: Mapping[str, float]


def from_package(folder: Path) -> EvaluatedModel:
    """Return the model of a package; raises PackageRejected when its files do not match."""
    card, module = open_package(folder)
    graph = (folder / MODEL).read_bytes()
    return EvaluatedModel(
        module=prepared(module),
        graph=graph,
        digest=digest_of(module),
        grid=card.grid,
        channels="rgb" if card.channels == "rgb" else "gray",
        threshold=card.calibrations[PRODUCT_WIDE].threshold,
        facts={"training_seconds": card.figures["training_seconds"]},
    )


def prepared(module: Served) -> Served:
    """Return the module as attacks need it: in eval mode, without gradients of its own, channels last."""
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    return module.eval().to(memory_format=torch.channels_last)


def digest_of(module: Served) -> str:
    """Return the SHA-256 of all tensors of a module."""
    import hashlib

    total = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        total.update(name.encode() + value.contiguous().cpu().numpy().tobytes())
    return total.hexdigest()
