"""What models say of the frames that people judged: defects found, alarms on good parts."""

import numpy as np
from numpy.typing import NDArray

from steadyline.contracts.model_event import PRODUCT_WIDE
from steadyline.package import Card
from trainer.data.labelled_frames import LabelledFrames
from trainer.detector_protocol import Served
from trainer.evaluation.subject import AttackTarget
from trainer.jobs.spec import LabelledFigures

Flags = NDArray[np.bool_]


def flagged(module: Served, card: Card, labelled: LabelledFrames) -> Flags:
    """Return (N,): whether each frame is anomalous, at the threshold that its camera has in this version."""
    subject = AttackTarget.of(module, labelled.pictures, labelled.is_defect)
    wide = card.calibrations[PRODUCT_WIDE]
    thresholds = [card.calibrations.get(source.camera, wide).threshold for source in labelled.sources]
    over: Flags = subject.scores(subject.x) > np.array(thresholds)
    return over


def labelled_figures(
    labelled: LabelledFrames, candidate: Flags, live: Flags | None = None
) -> LabelledFigures:
    """Return the counts of the candidate, and of the live model where there is one to compare with."""
    defect = labelled.is_defect
    lost = np.zeros_like(defect) if live is None else defect & live & ~candidate
    return LabelledFigures(
        defects=int(defect.sum()),
        goods=int((~defect).sum()),
        candidate_found=int((candidate & defect).sum()),
        candidate_alarms=int((candidate & ~defect).sum()),
        live_found=None if live is None else int((live & defect).sum()),
        live_alarms=None if live is None else int((live & ~defect).sum()),
        lost=[source.frame for source, gone in zip(labelled.sources, lost, strict=True) if gone],
    )
