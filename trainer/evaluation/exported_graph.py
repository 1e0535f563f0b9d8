"""The exported graph under the same attack: what is served must fall exactly as its torch twin does."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from trainer.arrays import Pictures
from trainer.detector_protocol import Served
from trainer.evaluation.attacks import at_once
from trainer.evaluation.auroc import auroc
from trainer.evaluation.corruption_figures import ScorePictures
from trainer.evaluation.sanity import Check
from trainer.evaluation.subject import Scores


@dataclass(frozen=True, slots=True)
class ExportedGraph:
    """Scores of the graph, and how far they may lie from torch's, as a fraction of the scores' spread."""

    score: ScorePictures
    largest_difference: float


def graph_check(
    module: Served, graph: ExportedGraph, pictures: Pictures, anomalous: NDArray[np.bool_]
) -> Check:
    """Compare graph and twin on attacked pictures (N, H, W, C), rounded to 8 bits as a camera must send them.

    The difference is a fraction of the scores' spread, as in the export's own check.
    """
    twin, served = _twin_scores(module, pictures), graph.score(pictures)
    spread = max(float(twin.max() - twin.min()), 1e-2)
    apart = float(np.abs(twin - served).max()) / spread
    figure = {"differs": apart, "torch": auroc(twin, anomalous), "graph": auroc(served, anomalous)}
    return Check("the exported graph falls as its torch twin does", apart <= graph.largest_difference, figure)


def _twin_scores(module: Served, pictures: Pictures) -> Scores:
    x = torch.from_numpy(pictures)
    with torch.inference_mode():
        parts = [module(part)[0] for part in torch.split(x, at_once(x.permute(0, 3, 1, 2)))]
        return torch.cat(parts).numpy()
