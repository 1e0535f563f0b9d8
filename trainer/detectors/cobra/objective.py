"""The objective of COBRA: the training minimises it, and its adversaries maximise parts of it."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional
from typing_extensions import override

from trainer.adversarial import distributed
from trainer.adversarial.batch import PairedBatch
from trainer.adversarial.fuse_batchnorm import folded
from trainer.adversarial.objective import CellLogits, TrainingObjective, attacked, class_loss
from trainer.crops.serve import DenseAnswer, DenseScore
from trainer.detectors.cobra.copies import picked_with_turned, with_turned
from trainer.detectors.cobra.loss import contrastive_loss
from trainer.detectors.cobra.network import Network
from trainer.detectors.cobra.profile import Adversary, CobraProfile
from trainer.detectors.cobra.served import CobraServed


@dataclass(frozen=True, slots=True)
class Outputs:
    """Network outputs: logits per cell, embeddings (B, D, h, w), and logits (B,) of being turned."""

    logits: CellLogits
    embeddings: Tensor
    turned: Tensor

    def chunk(self, count: int) -> list["Outputs"]:
        """Split the rows into ``count`` equal parts."""
        found = self.logits
        parts = zip(
            found.images.chunk(count),
            found.cells.chunk(count),
            self.embeddings.chunk(count),
            self.turned.chunk(count),
            strict=True,
        )
        return [
            Outputs(CellLogits(images, cells), embedded, turned) for images, cells, embedded, turned in parts
        ]


class CobraObjective(TrainingObjective):
    """Opposite pairs and classification, on clean rows and on the rows of each adversary."""

    def __init__(self, profile: CobraProfile, normals: Tensor, seed: int, in_crops: bool = False) -> None:
        """``normals`` (N, C, H, W) in [0, 1], or crops of them, fill the memory."""
        self._profile, self._normals, self._seed, self._in_crops = profile, normals, seed, in_crops

    @override
    def loss(self, network: nn.Module, batch: PairedBatch, epsilon: float, random: Generator) -> Tensor:
        assert isinstance(network, Network)
        profile, weights = self._profile, self._profile.weights
        still = folded(network)
        batch = batch if profile.classes == 2 else _turned_too(batch)
        hit = [self._attacked(still, each, batch, (epsilon, random)) for each in profile.adversaries]
        clean = [batch.first, batch.second] if profile.clean_second_view else [batch.first]
        views = outputs(network, torch.cat([*clean, *hit])).chunk(len(clean) + len(hit))
        loss = batch.first.new_zeros(())
        if weights.contrast:
            loss = weights.contrast * self._contrast(batch, views, len(clean))
        judged = [
            view
            for view, adversary in zip(views[len(clean) :], profile.adversaries, strict=True)
            if adversary.classes
        ]
        for share, part in ((weights.clean, views[: len(clean)]), (weights.attacked, judged)):
            for view in part:
                each = self._class_loss(view, batch)
                loss = loss + weights.classes * share / len(part) * each
        return loss

    @override
    def served(self, network: nn.Module) -> CobraServed:
        assert isinstance(network, Network)
        profile = self._profile
        channels = self._normals.shape[1]
        module = CobraServed(profile.shape, profile.embedding, profile.score, channels, profile.classes)
        module.network = folded(network)
        module.dense = DenseAnswer(DenseScore(profile.crops.top)) if self._in_crops else None
        module = module.eval().to(next(network.parameters()).device)
        module.remember(self._normals, self._seed)
        return module.to(memory_format=torch.channels_last)

    def _contrast(self, batch: PairedBatch, views: list[Outputs], clean: int) -> Tensor:
        """Return the contrastive loss over the rows of all processes (of this one, for the mean form)."""
        profile = self._profile
        embedded = torch.stack([rows(view, batch) for view in views])
        if profile.switch != "mean":
            embedded = distributed.gathered(embedded)
        kinds = None
        if profile.classes == 4:  # a picture's picks stand together, the turned ones after those not turned
            place = torch.arange(embedded.shape[1])
            picks = max(1, len(place) // (len(batch.first) * distributed.world()))
            kinds = 2 * (place < len(place) // 2) + place // picks % 2
        return contrastive_loss(embedded, clean, profile.temperature, profile.switch, kinds)

    def _class_loss(self, found: Outputs, batch: PairedBatch) -> Tensor:
        """Return the cross-entropy over the K classes; with K = 4 it is the sum of that of the two logits."""
        loss = class_loss(found.logits, batch, self._profile.weights.cells)
        if self._profile.classes == 2:
            return loss
        truth = (torch.arange(len(found.turned), device=loss.device) % 2).float()
        return loss + functional.binary_cross_entropy_with_logits(found.turned, truth)

    def _attacked(
        self, network: Network, adversary: Adversary, batch: PairedBatch, of: tuple[float, Generator]
    ) -> Tensor:
        """Return an adversary's view (2n, C, H, W); its targets are computed once."""
        targets = _targets(network, adversary, batch)
        x = batch.first if adversary.view == 1 else batch.second
        return attacked(
            lambda seen: self._gain(network, adversary, batch, (seen, targets)),
            x,
            of[0],
            self._profile.schedule,
            of[1],
        )

    def _gain(
        self, network: Network, adversary: Adversary, batch: PairedBatch, seen: tuple[Tensor, Tensor | None]
    ) -> Tensor:
        x, targets = seen
        found = outputs(network, x)
        gained = adversary.classes * self._class_loss(found, batch)
        if targets is None:
            return gained
        similar = functional.normalize(rows(found, batch), dim=1)
        if adversary.contrast:
            every = distributed.gathered(targets[None])[0]
            all_pairs = similar @ every.T / self._profile.temperature
            lost = torch.logsumexp(all_pairs, dim=1) - (similar * targets).sum(1) / self._profile.temperature
            gained = gained + adversary.contrast * lost.mean()
        opposite = (similar * targets.roll(len(targets) // 2, dims=0)).sum(1).mean()
        return gained + adversary.opposite * opposite / self._profile.temperature


def outputs(network: Network, x: Tensor) -> Outputs:
    """Return what the losses need to know of pictures (B, C, H, W)."""
    features = network.features(x)
    judged = network.judged(features)
    cells = network.classify(judged)
    return Outputs(CellLogits(network.pool(cells), cells), network.embed(judged), network.turn(features))


def rows(found: Outputs, batch: PairedBatch) -> Tensor:
    """Return embeddings (2n·R, D) of the picked cells, which are the same in both pictures of a pair."""
    flat = found.embeddings.flatten(2)
    if flat.shape[2] == 1:
        return flat[..., 0]
    places = batch.picked.repeat(2, 1)[:, None].expand(-1, flat.shape[1], -1)
    return flat.gather(2, places).transpose(1, 2).flatten(0, 1)


def _targets(network: Network, adversary: Adversary, batch: PairedBatch) -> Tensor | None:
    """Return the clean rows of the other view, which an adversary moves away from or towards (paper)."""
    if not (adversary.contrast or adversary.opposite):
        return None
    other = batch.second if adversary.view == 1 else batch.first
    with torch.no_grad():
        return functional.normalize(rows(outputs(network, other), batch), dim=1)


def _turned_too(batch: PairedBatch) -> PairedBatch:
    """With K = 4, follow each picture by itself turned by a quarter; halves and pairs keep their order."""
    layout = torch.channels_last
    return PairedBatch(
        first=with_turned(batch.first).contiguous(memory_format=layout),
        second=with_turned(batch.second).contiguous(memory_format=layout),
        cells=with_turned(batch.cells),
        picked=picked_with_turned(batch.picked, batch.cells.shape[-1]),
    )
