"""How far each patch is from the nearest one of a bounded memory of normal patches.

Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022.
"""

import torch
from torch import Generator, Tensor, nn
from typing_extensions import override

_LEAST = 1e-6  # squared distances under it are rounding, and their root would have no gradient
_SHADOW = (
    64  # dimensions in which the memory is chosen: they keep distances (Johnson and Lindenstrauss, 1984)
)


class NearestPatches(nn.Module):
    """Distances to the memory, whose columns are patches (features + 1, M) made ready for one product.

    With a patch x and one q of the memory, |x - q|² = |x|² - (2 x·q - |q|²). The memory holds 2 q and -|q|²,
    and x has a 1 behind its features, so that what lies between the product and its maximum is written and
    read once, ``chunk`` patches at a time: 128 x 2,000 numbers stay in the second-level cache of a core.
    """

    memory: Tensor

    def __init__(self, features: int, kept: int, chunk: int) -> None:
        super().__init__()
        self._chunk = chunk
        self.register_buffer("memory", torch.zeros(features + 1, kept))

    def remember(self, patches: Tensor) -> None:
        """Put ``patches`` (M, features) into the memory."""
        self.memory.copy_(torch.cat([2 * patches, -patches.pow(2).sum(1, keepdim=True)], 1).T)

    @override
    def forward(self, features: Tensor) -> Tensor:
        """Return distances (B, h, w) of features (B, F, h, w)."""
        patches = features.flatten(2).transpose(1, 2)
        ready = torch.cat([patches, torch.ones_like(patches[:, :, :1])], 2)
        likest = torch.cat([(part @ self.memory).amax(2) for part in torch.split(ready, self._chunk, 1)], 1)
        squared = patches.pow(2).sum(2) - likest
        return squared.clamp(min=_LEAST).sqrt().reshape(-1, *features.shape[2:])


def cover(patches: Tensor, count: int, random: Generator) -> Tensor:
    """Return ``count`` of the patches (R, F), or all when there are fewer, that cover the others.

    Each next one is the farthest from those chosen before (Gonzalez, 1985).
    """
    shadow = patches @ torch.randn(patches.shape[1], _SHADOW, generator=random)
    chosen, nearest = [0], torch.full((len(patches),), torch.inf)
    while len(chosen) < min(count, len(patches)):
        nearest = torch.minimum(nearest, (shadow - shadow[chosen[-1]]).pow(2).sum(1))
        chosen.append(int(nearest.argmax()))
    return patches[torch.tensor(chosen)].clone()
