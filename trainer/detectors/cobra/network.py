"""The network of cells, with an embedding of each for the contrastive loss and the memory."""

from torch import Tensor, nn

from trainer.adversarial.network import CellNetwork, Shape


class Network(CellNetwork):
    """``embed`` looks at each cell on its own, as ``classify`` does."""

    def __init__(self, shape: Shape, channels: int, embedding: int) -> None:
        super().__init__(shape, channels)
        self.projector = nn.Sequential(
            nn.Conv2d(shape.features, shape.features, 1),
            nn.SiLU(inplace=True),
            nn.Conv2d(shape.features, embedding, 1),
        )

    def embed(self, features: Tensor) -> Tensor:
        """Return embeddings (B, D, h, w), not normalised."""
        found: Tensor = self.projector(features)
        return found.float()
