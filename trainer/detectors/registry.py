"""Detectors by name. A new one is a folder beside this file and a line in it."""

from steadyline.errors import InvalidConfiguration
from trainer.detectors.certified.detector import Certified
from trainer.detectors.cobra.detector import Cobra
from trainer.detectors.protocol import Detector
from trainer.detectors.robust.detector import Robust

DETECTORS: dict[str, Detector] = {"certified": Certified(), "cobra": Cobra(), "robust": Robust()}


def detector_named(name: str) -> Detector:
    """Return a detector; raises InvalidConfiguration when there is none of that name."""
    if name not in DETECTORS:
        raise InvalidConfiguration(f"there is no detector {name!r}; there are {', '.join(sorted(DETECTORS))}")
    return DETECTORS[name]
