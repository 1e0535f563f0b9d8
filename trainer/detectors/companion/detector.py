"""A detector with a certified companion: both in one graph, asked by one request."""

from collections.abc import Mapping

from typing_extensions import override

from trainer.detector_protocol import Detector, Overrides, Served
from trainer.detectors.companion.served import WithCompanion
from trainer.detectors.in_parts import WHOLE, DetectorPart, InParts

MAIN, COMPANION = "main", "companion"
SHARE = WHOLE // 20  # a companion is fitted in seconds


class Companioned(InParts):
    """Score and map by ``main``, a detector or a pair, and the certified score by ``companion``.

    It is named ``robust+daf&certified`` after both. Overrides of single numbers are those of ``main``.
    """

    def __init__(self, name: str, main: Detector, companion: Detector) -> None:
        parts = DetectorPart(MAIN, main, WHOLE - SHARE), DetectorPart(COMPANION, companion, SHARE)
        super().__init__(name, parts)

    @override
    def joined(self, first: Served, second: Served) -> Served:
        return WithCompanion(first, second)

    @override
    def overrides_by_part(self, overrides: Overrides) -> Mapping[str, Overrides]:
        return {MAIN: overrides}
