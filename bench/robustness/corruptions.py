"""Natural corruptions of the camera's own pictures, and what a plant feels of them: alarms and misses."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from steadyline.prepare import prepare
from trainer.arrays import Pictures
from trainer.data.mvtec import TestSet
from trainer.evaluation.auroc import auroc
from trainer.evaluation.corruption import CORRUPTIONS, SEVERITIES, Severity
from trainer.evaluation.subject import Scores
from trainer.jobs.build import all_scores
from trainer.jobs.export import OnnxModel


def corrupted(graph: OnnxModel, test: TestSet, name: str, threshold: float) -> dict[str, Any]:
    """Return, by severity, AUROC and the rates of false alarms and misses at ``threshold``.

    Every test picture is corrupted at its native size, then prepared as a frame is.
    """
    found = {}
    for severity in SEVERITIES:
        scores = all_scores(graph, _prepared(test, name, severity))
        found[str(severity)] = {
            "auroc": round(auroc(scores, test.anomalous), 4),
            **rates(scores, test.anomalous, threshold),
        }
    return found


def rates(scores: Scores, anomalous: NDArray[np.bool_], threshold: float) -> dict[str, float]:
    """Return the share of normals above the threshold and of anomalies not above it."""
    alarms = scores > threshold
    return {
        "false_alarms": round(float(alarms[~anomalous].mean()), 4),
        "misses": round(float((~alarms[anomalous]).mean()), 4),
    }


def _prepared(test: TestSet, name: str, severity: Severity) -> Pictures:
    assert test.native is not None
    size, depth = test.pictures.shape[1], test.pictures.shape[3]
    rows = [
        prepare(CORRUPTIONS[name](picture[None], severity)[0], size, "gray" if depth == 1 else "rgb")
        for picture in test.native
    ]
    return np.stack(rows)
