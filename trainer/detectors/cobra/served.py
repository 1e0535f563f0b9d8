"""What is served: the network, the memory and the score, in one graph."""

from torch import Tensor
from typing_extensions import override

from trainer.adversarial.fold import folded
from trainer.adversarial.network import Shape
from trainer.detectors.cobra.memory import Memory
from trainer.detectors.cobra.network import Network
from trainer.detectors.cobra.profile import Score
from trainer.detectors.protocol import Served


class CobraServed(Served):
    """A cell is anomalous as far as the head says so and as far as it is unlike every normal in the memory.

    The score is the smooth maximum over the cells that the profile judges (all of them, or the mean one),
    which is the paper's score with its sign turned: nearest normal similarity plus the head's confidence.
    """

    def __init__(self, shape: Shape, embedding: int, score: Score, channels: int) -> None:
        super().__init__()
        self.network = folded(Network(shape, channels, embedding))
        self.memory = Memory(score, embedding)
        self._memory_weight = score.weight

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.network.features(x)
        cells = self.cells(features)
        judged = cells if self.network.cells else self.cells(self.network.judged(features))
        return self.network.pool(judged), cells

    def cells(self, features: Tensor) -> Tensor:
        """Return (B, h, w): how anomalous each cell of the features (B, F, h, w) is."""
        logits = self.network.classify(features)
        if not self._memory_weight:
            return logits
        similarity: Tensor = self.memory(self.network.embed(features))
        unlike = self._memory_weight * (1 - similarity)
        return logits + unlike
