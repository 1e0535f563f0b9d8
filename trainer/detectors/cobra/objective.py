"""What COBRA's training lowers and its adversaries raise."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional
from typing_extensions import override

from trainer.adversarial.batch import Batch
from trainer.adversarial.fold import folded
from trainer.adversarial.objective import Judged, Objective, attacked, class_loss
from trainer.detectors.cobra.loss import contrastive_loss
from trainer.detectors.cobra.memory import fill_memory
from trainer.detectors.cobra.network import Network
from trainer.detectors.cobra.profile import Adversary, Profile
from trainer.detectors.cobra.served import CobraServed


@dataclass(frozen=True, slots=True)
class Outputs:
    """Of judged cells: logits, and embeddings (B, D, h, w)."""

    logits: Judged
    embeddings: Tensor

    def chunk(self, count: int) -> list["Outputs"]:
        """Split the rows into ``count`` equal parts."""
        found = self.logits
        parts = zip(
            found.images.chunk(count), found.cells.chunk(count), self.embeddings.chunk(count), strict=True
        )
        return [Outputs(Judged(images, cells), embedded) for images, cells, embedded in parts]


class CobraObjective(Objective):
    """Opposite pairs and classification, on clean rows and on those of each adversary."""

    def __init__(self, profile: Profile, normals: Tensor, seed: int) -> None:
        """``normals`` (N, C, S, S) in [0, 1] are what the memory is filled from."""
        self._profile, self._normals, self._seed = profile, normals, seed

    @override
    def loss(self, network: nn.Module, batch: Batch, epsilon: float, random: Generator) -> Tensor:
        assert isinstance(network, Network)
        profile, weights = self._profile, self._profile.weights
        still = folded(network)
        hit = [self._attacked(still, each, batch, (epsilon, random)) for each in profile.adversaries]
        clean = [batch.first, batch.second] if profile.clean_second_view else [batch.first]
        views = outputs(network, torch.cat([*clean, *hit])).chunk(len(clean) + len(hit))
        loss = torch.zeros(())
        if weights.contrast:
            embedded = torch.stack([rows(view, batch) for view in views])
            loss = weights.contrast * contrastive_loss(
                embedded, len(clean), profile.temperature, profile.switch
            )
        judged = [
            view
            for view, adversary in zip(views[len(clean) :], profile.adversaries, strict=True)
            if adversary.classes
        ]
        for share, part in ((weights.clean, views[: len(clean)]), (weights.attacked, judged)):
            for view in part:
                each = class_loss(view.logits, batch, weights.cells)
                loss = loss + weights.classes * share / len(part) * each
        return loss

    @override
    def served(self, network: nn.Module) -> CobraServed:
        assert isinstance(network, Network)
        profile = self._profile
        module = CobraServed(profile.shape, profile.embedding, profile.score, self._normals.shape[1]).eval()
        module.network = folded(network)
        fill_memory(module.memory, module.network, self._normals, self._seed)
        return module.to(memory_format=torch.channels_last)

    def _attacked(
        self, network: Network, adversary: Adversary, batch: Batch, of: tuple[float, Generator]
    ) -> Tensor:
        """Return an adversary's view (2n, C, S, S), its targets computed once."""
        targets = _targets(network, adversary, batch)
        x = batch.first if adversary.view == 1 else batch.second
        return attacked(
            lambda seen: self._gain(network, adversary, batch, (seen, targets)),
            x,
            of[0],
            self._profile.course,
            of[1],
        )

    def _gain(
        self, network: Network, adversary: Adversary, batch: Batch, seen: tuple[Tensor, Tensor | None]
    ) -> Tensor:
        x, targets = seen
        found = outputs(network, x)
        gained = adversary.classes * class_loss(found.logits, batch, self._profile.weights.cells)
        if targets is None:
            return gained
        similar = functional.normalize(rows(found, batch), dim=1)
        if adversary.contrast:
            all_pairs = similar @ targets.T / self._profile.temperature
            lost = torch.logsumexp(all_pairs, dim=1) - all_pairs.diagonal()
            gained = gained + adversary.contrast * lost.mean()
        opposite = (similar * targets.roll(len(targets) // 2, dims=0)).sum(1).mean()
        return gained + adversary.opposite * opposite / self._profile.temperature


def outputs(network: Network, x: Tensor) -> Outputs:
    """Return what the losses need of pictures (B, C, S, S)."""
    judged = network.judged(network.features(x))
    cells = network.classify(judged)
    return Outputs(Judged(network.pool(cells), cells), network.embed(judged))


def rows(found: Outputs, batch: Batch) -> Tensor:
    """Return (2n·R, D) embeddings of the picked cells, at the same places of both pictures of a pair."""
    flat = found.embeddings.flatten(2)
    if flat.shape[2] == 1:
        return flat[..., 0]
    places = batch.picked.repeat(2, 1)[:, None].expand(-1, flat.shape[1], -1)
    return flat.gather(2, places).transpose(1, 2).flatten(0, 1)


def _targets(network: Network, adversary: Adversary, batch: Batch) -> Tensor | None:
    """The clean rows that an adversary pulls from and to: the other view's, as the paper has it."""
    if not (adversary.contrast or adversary.opposite):
        return None
    other = batch.second if adversary.view == 1 else batch.first
    with torch.no_grad():
        return functional.normalize(rows(outputs(network, other), batch), dim=1)
