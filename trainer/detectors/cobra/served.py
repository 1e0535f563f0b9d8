"""The COBRA module that is exported: network, memory and score in one graph."""

import copy
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn
from typing_extensions import override

from trainer.adversarial.fuse_batchnorm import folded
from trainer.adversarial.network import NetworkShape
from trainer.arrays import Pictures
from trainer.crops.serve import DenseAnswer
from trainer.detector_protocol import Served
from trainer.detectors.cobra.copies import Classes, copies, signs
from trainer.detectors.cobra.memory import EmbeddingMemory
from trainer.detectors.cobra.network import Network
from trainer.detectors.cobra.profile import CobraScoring
from trainer.learning.flips import FLIPS

MEMORY_ROWS = 16_384  # embeddings of normals that the coreset is chosen from
_LEAST_CONFIDENCE = 0.1  # the least divisor, for a head that is not confident of the normals at all


class CobraServed(Served):
    """A cell is anomalous by the head's logit plus its dissimilarity to every normal in the memory.

    The score is the smooth maximum over the cells that the profile scores (all cells, or their mean). With
    ``shifted`` it is the mean over K copies of the picture. A distorted copy is the more anomalous, the less
    the head recognises it as distorted and the less similar it is to the same copies of normals. That is the
    paper's score with its sign turned:

        S(x) = (1/K) sum_k [ max_m cos(z_k(x), z_k(x_m)) |z_k(x)| / mean_m |z_k(x_m)|
                             + h_k(x)[k] / mean_m h_k(x_m)[k] ]

    Without ``shifted`` only k = 0 counts. The norms are left out unless ``norm_power`` is 1, and the division
    of h unless ``scaled``. The map is that of the unchanged picture.

    A net that was trained on crops has ``dense``, which then gives score and map of the cells.
    """

    confidence: Tensor
    dense: DenseAnswer | None

    def __init__(
        self, shape: NetworkShape, embedding: int, score: CobraScoring, channels: int, classes: Classes = 2
    ) -> None:
        super().__init__()
        self.network = folded(Network(shape, channels, embedding, classes))
        self.memory = EmbeddingMemory(score, embedding)
        count = classes if score.shifted else 1
        self.of_copies = nn.ModuleList(EmbeddingMemory(score, embedding) for _ in range(count - 1))
        self._score, self._classes = score, classes
        self.dense = None
        if score.scaled:
            self.register_buffer("confidence", torch.ones(count))

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.network.features(x)
        cells = self.cells(features)
        if self.dense is not None:
            dense, served = self.dense(cells)
            return dense, served
        judged = cells if self.network.cells else self.cells(self.network.judged(features))
        score = self.network.pool(judged)
        if self._classes == 4:
            score = score + self.network.turn(features) / self._scale(0)
        if self._score.shifted:
            seen = enumerate(copies(x, self._classes))
            score = torch.stack([score, *(self._of_copy(k, shifted) for k, shifted in seen if k)]).mean(0)
        return score, cells

    def cells(self, features: Tensor) -> Tensor:
        """Return how anomalous each cell of the features (B, F, h, w) is, as (B, h, w)."""
        logits = self.network.classify(features) / self._scale(0)
        return logits + self._unlike(self.memory, features) if self._score.weight else logits

    def maps_of(self, normals: Pictures) -> Tensor:
        """Return the cells (N, h, w) of normals (N, H, W, C) uint8, before they are answered."""
        found = []
        with torch.inference_mode():
            for picture in normals:
                x = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
                found.append(self.cells(self.network.features(x))[0])
        return torch.stack(found)

    def resized(self, size: int) -> "CobraServed":
        """Return the same network with empty memories of ``size`` entries; ``remember`` fills them."""
        found = copy.deepcopy(self)
        score = replace(self._score, memory=size)
        dimension = self.memory.entries.shape[1]
        found.memory = EmbeddingMemory(score, dimension)
        found.of_copies = nn.ModuleList(EmbeddingMemory(score, dimension) for _ in self.of_copies)
        return found

    def remember(self, normals: Tensor, seed: int) -> None:
        """Fill the memories and the head's mean confidence from normals (N, C, H, W) in all their flips."""
        with torch.no_grad():
            for k, memory in enumerate([self.memory, *self.of_copies]):
                found: list[Tensor] = []
                confidence: list[Tensor] = []
                for features in self._features_of(normals, k):
                    judged = self.network.judged(features)
                    found.append(self.network.embed(judged).permute(0, 2, 3, 1).flatten(0, 2))
                    confidence.append(self._confidence(k, features))
                assert isinstance(memory, EmbeddingMemory)
                memory.remember(_some(torch.cat(found), seed))
                if self._score.scaled:
                    self.confidence[k] = torch.cat(confidence).mean().clamp(min=_LEAST_CONFIDENCE)

    def _features_of(self, normals: Tensor, k: int) -> Iterator[Tensor]:
        device = next(self.network.parameters()).device
        for part in torch.split(normals, 64):
            for axes in FLIPS:
                seen = part.to(device).flip(axes) if axes else part.to(device)
                yield self.network.features(copies(seen, self._classes)[k])

    def _of_copy(self, k: int, shifted: Tensor) -> Tensor:
        """Return (B,): how dissimilar the k-th copy of a picture is to the k-th copies of normals."""
        features = self.network.features(shifted)
        score = -self._confidence(k, features) / self._scale(k)
        memory = self.of_copies[k - 1]
        assert isinstance(memory, EmbeddingMemory)
        unlike = self._unlike(memory, self.network.judged(features)).flatten(1)
        return score + torch.logsumexp(unlike, dim=1)

    def _confidence(self, k: int, features: Tensor) -> Tensor:
        """Return h_k[k], the head's logit (B,) of the k-th class."""
        distorted, turned = signs(k)
        logits = self.network.pool(self.network.classify(self.network.judged(features)))
        found = distorted * logits
        return found if self._classes == 2 else found + turned * self.network.turn(features)

    def _unlike(self, memory: EmbeddingMemory, features: Tensor) -> Tensor:
        similarity: Tensor = memory(self.network.embed(features))
        return self._score.weight * (1 - similarity)

    def _scale(self, k: int) -> Tensor | float:
        return self.confidence[k] if self._score.scaled else 1.0


def _some(rows: Tensor, seed: int) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(rows), generator=random)[:MEMORY_ROWS]
    return rows[chosen.sort().values.to(rows.device)]
