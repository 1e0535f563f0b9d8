"""The network that classifies cells, with an embedding of each for the contrastive loss and the memory."""

from torch import Tensor, nn

from trainer.adversarial.network import CellNetwork, NetworkShape
from trainer.detectors.cobra.copies import Classes


class Network(CellNetwork):
    """``embed`` and ``classify`` see each cell on its own; ``turn`` sees all cells together.

    With K = 4 the classes combine "normal or not" and "turned or not". The head has one logit for each of the
    two questions, which is a softmax over four classes whose logits are sums of the two.
    """

    def __init__(self, shape: NetworkShape, channels: int, embedding: int, classes: Classes = 2) -> None:
        super().__init__(shape, channels)
        self.projector = nn.Sequential(
            nn.Conv2d(shape.features, shape.features, 1),
            nn.SiLU(inplace=True),
            nn.Conv2d(shape.features, embedding, 1),
        )
        self.classes = classes
        if classes == 4:
            self.turning = nn.Linear(shape.features, 1)

    def embed(self, features: Tensor) -> Tensor:
        """Return embeddings (B, D, h, w) without normalising them."""
        found: Tensor = self.projector(features)
        return found.float()

    def turn(self, features: Tensor) -> Tensor:
        """Return logits (B,) of being turned by a quarter; zeros when K = 2, where nothing is turned."""
        if self.classes == 2:
            return features.new_zeros(features.shape[0]).float()
        found: Tensor = self.turning(features.mean((2, 3)))
        return found[:, 0].float()
