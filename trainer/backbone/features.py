"""What detectors ask of a frozen network: a fine and a coarse level of features, whichever network it is."""

import hashlib
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from trainer.backbone.lite import CHANNELS, STRIDES, Lite0, as_input, trimmed

FINE, COARSE = 8, 16  # strides of the two levels in pixels
_STAGES = (2, 4)  # of EfficientNet-Lite0, counted from 0: the last ones of these strides


class FrozenFeatures(nn.Module, ABC):
    """A network whose weights never change; ``channels`` are those of the fine and of the coarse level."""

    channels: tuple[int, int]

    @abstractmethod
    def levels(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return features with strides of 8 and 16 pixels, (B, F, H / 8, W / 8) and (B, G, H / 16, W / 16).

        ``x`` is (B, C, H, W) in [0, 1], with C of 1 or 3, and H and W multiples of 16.
        """

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Return both levels as one, (B, F + G, H / 8, W / 8), each averaged over 3 x 3 of its cells.

        The averages make features of a patch out of those of a cell (Roth et al., "Towards Total Recall in
        Industrial Anomaly Detection", CVPR 2022).
        """
        fine, coarse = (functional.avg_pool2d(level, 3, 1, 1) for level in self.levels(x))
        enlarged = functional.interpolate(coarse, size=fine.shape[2:], mode="bilinear", align_corners=False)
        return torch.cat([fine, enlarged], dim=1)


class LiteFeatures(FrozenFeatures):
    """Stages 3 and 5 of EfficientNet-Lite0, the network that is shipped."""

    channels = (CHANNELS[_STAGES[0]], CHANNELS[_STAGES[1]])

    def __init__(self, network: Lite0) -> None:
        super().__init__()
        assert (STRIDES[_STAGES[0]], STRIDES[_STAGES[1]]) == (FINE, COARSE)
        self.network = trimmed(network, _STAGES[1] + 1)

    @override
    def levels(self, x: Tensor) -> tuple[Tensor, Tensor]:
        found = self.network.stages(as_input(x), _STAGES[1] + 1)
        return found[_STAGES[0]], found[_STAGES[1]]


def tensors_digest(network: nn.Module) -> str:
    """Return the SHA-256 of a network's tensors, with their names, in order of the names."""
    total = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()
