"""The memory of normals in the served graph: a coreset of embeddings, compared by a smooth maximum."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from trainer.detectors.cobra.profile import CobraScoring


class EmbeddingMemory(nn.Module):
    """Compute the similarity to the nearest normal embedding.

    The maximum is smooth (a scaled log-sum-exp), so that an attack gets a gradient towards every entry and
    not only towards the nearest one. A hard maximum would hide gradients and make the model look too robust.
    """

    entries: Tensor
    norm: Tensor

    def __init__(self, score: CobraScoring, dimension: int) -> None:
        super().__init__()
        self._sharpness, self._norm_power = score.sharpness, score.norm_power
        self.register_buffer("entries", torch.zeros(score.memory, dimension))
        self.register_buffer("norm", torch.ones(()))

    def remember(self, embeddings: Tensor) -> None:
        """Keep a coreset of normals' embeddings (R, D); if there are too few, some are kept twice."""
        units = functional.normalize(embeddings, dim=1)
        chosen = coreset(units, len(self.entries))
        self.entries.copy_(units[chosen])
        self.norm.copy_(embeddings.norm(dim=1).mean())

    @override
    def forward(self, embeddings: Tensor) -> Tensor:
        """Return similarities (B, h, w) of embeddings (B, D, h, w); 1 means equal to a known normal."""
        batch, dimension, height, width = embeddings.shape
        rows = embeddings.permute(0, 2, 3, 1).reshape(-1, dimension)
        length = torch.sqrt((rows * rows).sum(1).clamp(min=1e-12))
        cosines = (rows / length[:, None]) @ self.entries.T
        nearest = torch.logsumexp(cosines * self._sharpness, dim=1) / self._sharpness
        nearest = nearest - math.log(len(self.entries)) / self._sharpness
        if self._norm_power:
            nearest = nearest * (length / self.norm) ** self._norm_power
        return nearest.reshape(batch, height, width)


def coreset(units: Tensor, size: int) -> Tensor:
    """Return indices (size,) of unit rows that cover (R, D), farthest point first (Gonzalez, 1985)."""
    nearest = units @ functional.normalize(units.mean(0), dim=0)
    chosen = [int(nearest.argmax())]
    covered = units @ units[chosen[0]]
    for _ in range(size - 1):
        chosen.append(int(covered.argmin()))
        covered = torch.maximum(covered, units @ units[chosen[-1]])
    return torch.tensor(chosen, device=units.device)
