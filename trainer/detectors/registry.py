"""Detectors by name. A new one is a folder beside this file and a line in it.

A class is imported when it is first asked for: the serving process needs the names, and does without torch.
"""

from pkgutil import resolve_name
from typing import TYPE_CHECKING

from steadyline.errors import InvalidConfiguration

if TYPE_CHECKING:
    from trainer.detectors.protocol import Detector

DETECTORS: dict[str, str] = {
    "certified": "trainer.detectors.certified.detector:Certified",
    "cobra": "trainer.detectors.cobra.detector:Cobra",
    "robust": "trainer.detectors.robust.detector:Robust",
}


def detector_named(name: str) -> "Detector":
    """Return a detector; raises InvalidConfiguration when there is none of that name."""
    if name not in DETECTORS:
        raise InvalidConfiguration(f"there is no detector {name!r}; there are {', '.join(sorted(DETECTORS))}")
    detector: Detector = resolve_name(DETECTORS[name])()
    return detector
