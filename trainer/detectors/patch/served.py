"""The patch module that is exported: both distances of each patch, in units of normals held aside."""

import torch
from torch import Tensor
from typing_extensions import override

from trainer.backbone.features import FrozenFeatures
from trainer.detector_protocol import Served
from trainer.detectors.patch.gaussian import PlaceGaussians
from trainer.detectors.patch.nearest import NearestPatches
from trainer.detectors.patch.profile import Judgement


class PatchServed(Served):
    """Score: the largest value of the map. Map (B, H / 8, W / 8): the distance that ``judged`` names.

    ``centre`` and ``spread`` (2,) are those of the highest distance of normals held aside, to the nearest
    patch and to the Gaussian; each distance is told in them.
    """

    centre: Tensor
    spread: Tensor

    def __init__(
        self,
        backbone: FrozenFeatures,
        nearest: NearestPatches | None,
        gaussian: PlaceGaussians | None,
        judged: Judgement,
    ) -> None:
        """Of the two distances that one is None which ``judged`` does not need."""
        super().__init__()
        self.backbone, self.nearest, self.gaussian = backbone, nearest, gaussian
        self._judged = judged
        self.register_buffer("centre", torch.zeros(2))
        self.register_buffer("spread", torch.ones(2))

    def distances(self, x: Tensor) -> list[Tensor]:
        """Return the distances (B, h, w) that are judged, in units of normals held aside."""
        features = self.backbone(x)
        parts = ((0, self.nearest), (1, self.gaussian))
        return [
            (part(features) - self.centre[place]) / self.spread[place]
            for place, part in parts
            if part is not None
        ]

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first, *others = self.distances(x)
        anomaly_map = first
        for other in others:
            anomaly_map = torch.maximum(first, other) if self._judged == "max" else first + other
        return anomaly_map.amax((1, 2)), anomaly_map
