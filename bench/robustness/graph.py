"""The exported graph under the same attack: what is served must fall exactly as its torch twin does."""

import numpy as np
import torch
from numpy.typing import NDArray

from trainer.detector_protocol import Served
from trainer.evaluation.attacks import BATCH
from trainer.evaluation.auroc import auroc
from trainer.evaluation.sanity import Check
from trainer.jobs.export import LARGEST_DIFFERENCE, OnnxModel


def graph_check(
    module: Served, graph: bytes, pictures: NDArray[np.uint8], anomalous: NDArray[np.bool_]
) -> Check:
    """Compare graph and twin on attacked pictures (N, S, S, C), rounded to 8 bits as a camera must send them.

    The difference is a fraction of the scores' spread, as in the export's own check.
    """
    run, ours, theirs = OnnxModel(graph), [], []
    for start in range(0, len(pictures), BATCH):
        part = np.ascontiguousarray(pictures[start : start + BATCH])
        theirs.append(run(part)[0])
        with torch.inference_mode():
            ours.append(module(torch.from_numpy(part))[0].numpy())
    twin, served = np.concatenate(ours), np.concatenate(theirs)
    spread = max(float(twin.max() - twin.min()), 1e-2)
    apart = float(np.abs(twin - served).max()) / spread
    figure = {"differs": apart, "torch": auroc(twin, anomalous), "graph": auroc(served, anomalous)}
    return Check("the exported graph falls as its torch twin does", apart <= LARGEST_DIFFERENCE, figure)
