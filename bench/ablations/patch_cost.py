"""Measures what the patch detector costs at several grids, through onnxruntime on one thread.

Run it with ``python -m bench.ablations.patch_cost [--grid 512x208] [--memory 2000] [--chunk 128]``.

The cost does not depend on what is remembered, so memory and Gaussians hold random numbers and nothing is
fitted. It prints CPU milliseconds for one picture, the median of some, and the megabytes that the session
added to the process: with both distances, and with the backbone alone.
"""

import os
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor
from typing_extensions import override

from bench.command import run_main
from steadyline.terminal import PlainConsole
from trainer.backbone.choice import BackboneChoice, chosen_backbone
from trainer.backbone.features import FINE, FrozenFeatures
from trainer.detector_protocol import Served
from trainer.detectors.patch.gaussian import PlaceGaussians, PlaceSquares
from trainer.detectors.patch.nearest import NearestPatches
from trainer.detectors.patch.profile import profile_named
from trainer.detectors.patch.served import PatchServed
from trainer.jobs.export import OnnxModel, export

ROUNDS = 5
MANY = 1000  # samples at each place, so that each has a covariance of its own where there are not too many


class _BackboneAlone(Served):
    """Answers with the mean of the features, so that the backbone is all that is computed."""

    def __init__(self, backbone: FrozenFeatures) -> None:
        super().__init__()
        self.backbone = backbone

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        anomaly_map = self.backbone(x).mean(1)
        return anomaly_map.amax((1, 2)), anomaly_map


def main(
    grid: Annotated[
        list[str] | None,
        typer.Option(help="HEIGHTxWIDTH; repeatable; by default 160x160, 256x256, 512x208 and 1024x1024."),
    ] = None,
    memory: Annotated[int, typer.Option(help="Patches that are kept.")] = 2000,
    chunk: Annotated[int, typer.Option(help="Patches whose distances are computed at once.")] = 128,
) -> None:
    """Print a table row for each grid."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    console = PlainConsole(soft_wrap=True)
    console.print("| grid | patches | CPU ms | MB | backbone alone: CPU ms | MB | graph MB |")
    console.print("|---|---|---|---|---|---|---|")
    backbone = chosen_backbone(BackboneChoice())[0]
    for text in grid or ["160x160", "256x256", "512x208", "1024x1024"]:
        height, width = map(int, text.split("x"))
        numbers = profile_named("cpu").gaussian
        nearest = NearestPatches(sum(backbone.channels), memory, chunk)
        nearest.remember(torch.randn(memory, sum(backbone.channels)))
        gaussian = PlaceGaussians(
            PlaceSquares.of(height // FINE, width // FINE, MANY, numbers), numbers.dimensions
        )
        gaussian.whitening.normal_()
        whole = PatchServed(backbone, nearest, gaussian, "max")
        told = [_cost(module, (height, width)) for module in (whole, _BackboneAlone(backbone))]
        (ms, added, size), (alone, alone_added, _) = told
        patches = height // FINE * (width // FINE)
        console.print(
            f"| {text} | {patches} | {ms:.0f} | {added:.0f} | {alone:.0f} | {alone_added:.0f} | {size:.1f} |"
        )


def _cost(module: Served, size: tuple[int, int]) -> tuple[float, float, float]:
    """Return CPU milliseconds a picture, and megabytes of the session and of the graph."""
    pictures = np.random.default_rng(0).integers(0, 256, (2, *size, 1), dtype=np.uint8)
    graph = export(module, pictures).model
    before = _resident()
    run, taken = OnnxModel(graph), []
    for _ in range(ROUNDS):
        began = time.process_time()
        run(pictures[:1])
        taken.append(time.process_time() - began)
    return 1000 * float(np.median(taken)), (_resident() - before) / 1e6, len(graph) / 1e6


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    raise SystemExit(run_main(main))
