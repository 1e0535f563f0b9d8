"""What the training lowers and its adversaries raise."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from trainer.detectors.cobra.batch import Batch
from trainer.detectors.cobra.network import Network
from trainer.detectors.cobra.profile import Adversary, Profile


@dataclass(frozen=True, slots=True)
class Outputs:
    """Of judged cells: image logits (B,), cell logits (B, h, w), embeddings (B, D, h, w)."""

    images: Tensor
    cells: Tensor
    embeddings: Tensor

    def chunk(self, count: int) -> list["Outputs"]:
        """Split the rows into ``count`` equal parts."""
        parts = zip(
            self.images.chunk(count), self.cells.chunk(count), self.embeddings.chunk(count), strict=True
        )
        return [Outputs(*part) for part in parts]


def outputs(network: Network, x: Tensor) -> Outputs:
    """Return what the losses need of pictures (B, C, S, S)."""
    judged = network.judged(network.features(x))
    cells = network.classify(judged)
    return Outputs(network.pool(cells), cells, network.embed(judged))


def class_loss(found: Outputs, batch: Batch, cells_weight: float) -> Tensor:
    """Cross-entropy of normal against pseudo-anomaly, of the picture and of its cells.

    Defective and clean cells count half each: a crack covers few cells, and must not be outvoted.
    """
    entropy = functional.binary_cross_entropy_with_logits
    loss = entropy(found.images, batch.kinds)
    if not cells_weight:
        return loss
    each = entropy(found.cells, batch.cells, reduction="none")
    clean = 1 - batch.cells
    defective = (each * batch.cells).sum() / batch.cells.sum().clamp(min=1)
    return loss + cells_weight * 0.5 * (defective + (each * clean).sum() / clean.sum().clamp(min=1))


def rows(found: Outputs, batch: Batch) -> Tensor:
    """Return (2n·R, D) embeddings of the picked cells, at the same places of both pictures of a pair."""
    flat = found.embeddings.flatten(2)
    if flat.shape[2] == 1:
        return flat[..., 0]
    places = batch.picked.repeat(2, 1)[:, None].expand(-1, flat.shape[1], -1)
    return flat.gather(2, places).transpose(1, 2).flatten(0, 1)


class Attacked:
    """Makes an adversary's view: PGD with a random start, the network in eval mode, its targets cached."""

    def __init__(self, network: Network, profile: Profile) -> None:
        self._network, self._profile = network, profile

    def view(self, adversary: Adversary, batch: Batch, epsilon: float, random: torch.Generator) -> Tensor:
        """Return the attacked view (2n, C, S, S). The network must be in eval mode, without gradients."""
        x = batch.first if adversary.view == 1 else batch.second
        targets = self._targets(adversary, batch)
        change = (torch.rand(x.shape, generator=random) * 2 - 1) * epsilon
        length = 2.5 * epsilon / self._profile.attack_steps
        for _ in range(self._profile.attack_steps):
            change.requires_grad_(True)
            gained = self._gain(adversary, batch, (x + change).clamp(0, 1), targets)
            (gradient,) = torch.autograd.grad(gained, change)
            change = (change.detach() + length * gradient.sign()).clamp(-epsilon, epsilon)
        return (x + change.detach()).clamp(0, 1)

    def _targets(self, adversary: Adversary, batch: Batch) -> Tensor | None:
        """The clean rows that an adversary pulls from and to: the other view's, as the paper has it."""
        if not (adversary.contrast or adversary.opposite):
            return None
        other = batch.second if adversary.view == 1 else batch.first
        with torch.no_grad():
            return functional.normalize(rows(outputs(self._network, other), batch), dim=1)

    def _gain(self, adversary: Adversary, batch: Batch, x: Tensor, targets: Tensor | None) -> Tensor:
        found = outputs(self._network, x)
        gained = adversary.classes * class_loss(found, batch, self._profile.weights.cells)
        if targets is None:
            return gained
        similar = functional.normalize(rows(found, batch), dim=1)
        if adversary.contrast:
            all_pairs = similar @ targets.T / self._profile.temperature
            lost = torch.logsumexp(all_pairs, dim=1) - all_pairs.diagonal()
            gained = gained + adversary.contrast * lost.mean()
        opposite = (similar * targets.roll(len(targets) // 2, dims=0)).sum(1).mean()
        return gained + adversary.opposite * opposite / self._profile.temperature
