"""Find detectors by name. A new detector is a folder beside this file and a line in ``DETECTORS``.

A detector's class is imported when it is first asked for, because the serving process needs only the names
and runs without torch.
"""

from collections.abc import Mapping
from pkgutil import resolve_name
from types import MappingProxyType
from typing import TYPE_CHECKING

from pydantic import JsonValue

from steadyline.errors import InvalidConfiguration
from steadyline.package import NO_LICENCE

if TYPE_CHECKING:
    from trainer.detector_protocol import Detector

DETECTORS: dict[str, str] = {
    "bgad": "trainer.detectors.bgad.detector:Bgad",
    "certified": "trainer.detectors.certified.detector:Certified",
    "cobra": "trainer.detectors.cobra.detector:Cobra",
    "daf": "trainer.detectors.daf.detector:Daf",
    "either": "trainer.detectors.either.detector:Either",
    "patch": "trainer.detectors.patch.detector:Patch",
    "robust": "trainer.detectors.robust.detector:Robust",
}
LEARN_FROM_DEFECTS = frozenset({"bgad"})
# These learn from crops of a large picture, or not from the bank at all. The others want whole pictures.
TAKE_CROPS = frozenset({"certified", "cobra", "either", "patch", "robust"})
CHOOSE_BACKBONE = frozenset({"either", "patch"})  # their recipes say which frozen network they contain

# What the weights came from, as SPDX writes it. A detector that is not named here has no known licence.
OWN_LICENCE = "LicenseRef-plant"  # they were learned from the plant's own pictures
BACKBONE_LICENCE = "Apache-2.0"  # of the published weights of EfficientNet-Lite0
LICENCES: dict[str, frozenset[str]] = {
    "bgad": frozenset({BACKBONE_LICENCE, OWN_LICENCE}),
    "certified": frozenset({OWN_LICENCE}),
    "cobra": frozenset({OWN_LICENCE}),
    "daf": frozenset({BACKBONE_LICENCE, OWN_LICENCE}),
    "either": frozenset({OWN_LICENCE}),
    "patch": frozenset({OWN_LICENCE}),  # and that of its backbone, which is a choice
    "robust": frozenset({OWN_LICENCE}),
}


def licence_of(name: str, recipe: Mapping[str, JsonValue] = MappingProxyType({})) -> str:
    """Return the licence of the weights that a detector gives, in pairs and companions of all of them.

    ``recipe`` is that of the trained model; where a backbone was chosen it names the licence that the user
    stated. One part whose licence nobody knows leaves that of the whole unknown.
    """
    found = [LICENCES.get(part) for part in _parts(name)]
    known = [licences for licences in found if licences is not None]
    chosen = frozenset(one["licence"] for one in backbones_in(recipe))
    if chosen or not CHOOSE_BACKBONE.isdisjoint(_parts(name)):
        known.append(chosen or frozenset({BACKBONE_LICENCE}))
        found.append(known[-1])
    every = frozenset().union(*known)
    return " AND ".join(sorted(every)) if len(known) == len(found) and NO_LICENCE not in every else NO_LICENCE


def backbones_in(recipe: Mapping[str, JsonValue]) -> list[dict[str, str]]:
    """Return the identities of the backbones that a recipe says were chosen, those of its parts included."""
    found: list[dict[str, str]] = []
    for name, part in recipe.items():
        if isinstance(part, dict):
            whole = name == "backbone" and "file_sha256" in part
            found += [{key: str(value) for key, value in part.items()}] if whole else backbones_in(part)
    return found


def has_backbone(name: str) -> bool:
    """Tell whether the model of a detector always contains the published weights."""
    return any(BACKBONE_LICENCE in LICENCES.get(part, ()) for part in _parts(name))


def learns_from_defects(name: str) -> bool:
    """Tell whether a detector, or one of a pair, makes use of known defects."""
    return not LEARN_FROM_DEFECTS.isdisjoint(name.split("+"))


def takes_crops(name: str) -> bool:
    """Tell whether each part of a detector can do with a bank of crops."""
    return TAKE_CROPS.issuperset(_parts(name))


def detector_named(name: str) -> "Detector":
    """Return the detector ``name``; ``robust+daf`` is a pair that scores by the first and maps by the second.

    ``robust&certified`` has a certified companion beside it in the graph, and so may a pair.
    Raises InvalidConfiguration when there is none of that name.
    """
    main, joined, companion = name.partition("&")
    if joined:
        if companion != "certified":
            raise InvalidConfiguration(f"{companion!r} is no companion: certified is")
        from trainer.detectors.companion.detector import Companioned

        return Companioned(name, detector_named(main), _registered(companion))
    first, plus, second = name.partition("+")
    if not plus:
        return _registered(first)
    from trainer.detectors.pair.detector import Pair

    return Pair(name, _registered(first), _registered(second))


def _parts(name: str) -> list[str]:
    return name.replace("&", "+").split("+")


def _registered(name: str) -> "Detector":
    if name not in DETECTORS:
        raise InvalidConfiguration(f"there is no detector {name!r}; there are {', '.join(sorted(DETECTORS))}")
    detector: Detector = resolve_name(DETECTORS[name])()
    return detector
