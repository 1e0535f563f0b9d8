"""Train BGAD on normals, then on known defects, and drop the known defects if they made the rest worse."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainer.arrays import KnownDefects, Pictures
from trainer.detector_protocol import FitInput, OnProgress
from trainer.detectors.bgad import vectors
from trainer.detectors.bgad.defects import Located, flipped, locate, pasted
from trainer.detectors.bgad.flow import NormalizingFlow
from trainer.detectors.bgad.levels import Levels
from trainer.detectors.bgad.loss import likelihood_loss, push_pull
from trainer.detectors.bgad.profile import BgadProfile
from trainer.detectors.bgad.served import BgadServed
from trainer.detectors.bgad.vectors import Vectors
from trainer.evaluation.auroc import auroc
from trainer.learning.checkpoint import Checkpoints
from trainer.learning.state import State

CHECKPOINT_EVERY = 50  # steps, which take a few seconds on one core
AT_ONCE = 1 << 14  # vectors whose densities are computed at once
HELD_OUT_OF = 8  # one normal in eight is never trained on; with its pseudo-anomalies it evaluates the push
MOST_JUDGED = 128  # pseudo-anomalies
# Known defects are used unless they lower the held-out AUROC by more than this, half of its standard error.
ALLOWED_LOSS = 0.01


@dataclass(frozen=True, slots=True)
class TrainingHooks:
    """Where checkpoints are written, who is called after each step, and how many steps there will be."""

    checkpoints: Checkpoints | None
    progress: OnProgress
    steps: int


@dataclass(frozen=True, slots=True)
class Judges:
    """Pictures (N, H, W, C) of normals and anomalies that no training step uses."""

    pictures: Pictures
    anomalous: NDArray[np.bool_]


class BgadTraining:
    """One training. ``run`` resumes from the newest checkpoint."""

    def __init__(self, given: FitInput, profile: BgadProfile, levels: Levels) -> None:
        self._given, self._profile, self._levels = given, profile, levels
        height, width = given.normals.shape[1:3]
        self._sizes, channels = profile.levels.sizes(height, width), profile.levels.channels()
        kept, self._judges = _split(given)
        cells = [rows * columns for rows, columns in self._sizes]
        each = 4 * sum(count * depth for count, depth in zip(cells, channels, strict=True))
        seen = vectors.seen_in_training(given.normals[kept], profile.vary, given.seed, each)
        raw = vectors.raw_features(levels, seen)
        self._noise = levels.fit(raw, profile.schedule.shrinkage)
        self._normals = vectors.of_normals(levels.whitened(raw), self._noise)
        self._trained_on = given.normals[kept]
        flows = nn.ModuleList(
            NormalizingFlow(depth, size, profile.flow, given.seed * 100 + level)
            for level, (depth, size) in enumerate(zip(channels, self._sizes, strict=True))
        )
        optimizer = torch.optim.Adam(flows.parameters(), profile.schedule.learning_rate, fused=True)
        self.state = State.start(flows, optimizer)

    def run(self, checkpoints: Checkpoints | None, progress: OnProgress) -> BgadServed:
        """Train to the end and return the served module."""
        schedule, state = self._profile.schedule, self.state
        found = checkpoints.newest() if checkpoints is not None else None
        if found is not None:
            state.resume(found)
        known = self._given.known_defects
        last = schedule.steps if known is None else schedule.steps + schedule.pushes
        hooks = TrainingHooks(checkpoints, progress, last)
        self._go_on(schedule.steps, [], hooks)
        if not state.guarded:
            state.keep_best(self._judged(self.served(state.average)), ALLOWED_LOSS)
        if known is None:
            return self._best([])
        real = self._located(known)
        if state.step < last:
            self._go_on(last, self._defects(real), hooks)
        tilts = self._tilts(real)
        if len(state.guarded) == 1:
            state.keep_best(self._judged(self.served(state.average, tilts)), ALLOWED_LOSS)
        return self._best(tilts if self._used() else [])

    def served(self, flows: nn.Module, tilts: Sequence[Tensor] = ()) -> BgadServed:
        """Return the served module, with units learned from the normals that were trained on."""
        assert isinstance(flows, nn.ModuleList)
        module = BgadServed(self._levels, flows, self._sizes, self._profile.scoring)
        with torch.no_grad():
            pairs = zip(flows, self._normals, strict=True)
            module.learn_units([_density(flow, kept) for flow, kept in pairs])
            module.lean(list(tilts))
        return module.eval()

    def figures(self) -> dict[str, float]:
        """Return the figures of the training; ``known_defects_used`` is 0 when they were dropped again."""
        guarded = self.state.guarded
        known = self._given.known_defects
        figures = {"guard_auroc": guarded[0], "last_loss": self.state.losses[-1]}
        if len(guarded) == 1:
            return {**figures, "known_defects": 0.0}
        return {
            **figures,
            "known_defects": float(0 if known is None else len(known.pictures)),
            "known_defects_used": float(self._used()),
            "guard_auroc_with_known": guarded[1],
        }

    def _used(self) -> bool:
        """Tell whether known defects lowered the held-out AUROC by no more than is allowed."""
        plain, known = self.state.guarded
        return known >= plain - ALLOWED_LOSS

    def _best(self, tilts: list[Tensor]) -> BgadServed:
        self.state.average.load_state_dict(self.state.best)
        return self.served(self.state.average, tilts)

    def _go_on(self, until: int, defects: list[list[Vectors]], hooks: TrainingHooks) -> None:
        """Train up to the step ``until``; ``defects`` are real defects and their copies, both per level."""
        state = self.state
        while state.step < until:
            loss = self._step(defects)
            state.step += 1
            if state.step == until:
                state.losses.append(loss)
            hooks.progress(state.step, hooks.steps, f"loss {loss:.3f}")
            if hooks.checkpoints is not None and (state.step % CHECKPOINT_EVERY == 0 or state.step == until):
                hooks.checkpoints.write(state.checkpoint())

    def _step(self, defects: list[list[Vectors]]) -> float:
        schedule, state = self._profile.schedule, self.state
        self._set_rate()
        random = torch.Generator().manual_seed((self._given.seed << 32) + state.step)
        loss = torch.zeros(())
        for level, flow in enumerate(state.network.children()):
            normal = flow(*self._normals[level].draw(schedule.normal, random))
            loss = loss + likelihood_loss(normal)
            if defects:
                drawn = [part[level].draw(schedule.anomalous // len(defects), random) for part in defects]
                values, places = (torch.cat(part) for part in zip(*drawn, strict=True))
                boundary = self._profile.boundary
                loss = loss + boundary.weight * push_pull(normal, flow(values, places), boundary)
        state.descend(loss)
        state.follow(schedule.average)
        return float(loss.detach())

    def _set_rate(self) -> None:
        """Set the learning rate: half a cosine over the normals' steps, and another one over the pushes."""
        schedule, step = self._profile.schedule, self.state.step
        done = step / schedule.steps if step < schedule.steps else (step - schedule.steps) / schedule.pushes
        for group in self.state.optimizer.param_groups:
            group["lr"] = schedule.learning_rate * 0.5 * (1 + np.cos(np.pi * done)) + 1e-6

    def _located(self, known: KnownDefects) -> Located:
        """Return the known defects with masks; a missing mask comes from the flows that know normals only."""
        plain = self.served(_with(self.state.average, self.state.best))
        with torch.no_grad():
            anomaly_map = plain.anomaly_map(
                self._levels.whitened(vectors.raw_features(self._levels, known.pictures))
            )
        return locate(known, anomaly_map, self._profile.known.region)

    def _defects(self, real: Located) -> list[list[Vectors]]:
        """Return the vectors of the real defects, in all flips, and those of their copies."""
        how = self._profile.known
        count = min(how.copies * len(real.masks), how.most_copies)
        parts = (flipped(real), pasted(self._trained_on, real, count, self._given.seed))
        return [vectors.of_defects(self._levels, part, self._sizes, self._noise) for part in parts]

    def _tilts(self, real: Located) -> list[Tensor]:
        """Return each level's mean vector over the defects, shrunk towards zero the fewer defects there are.

        In whitened features this is Fisher's discriminant, and its product with a vector is the log-ratio of
        two Gaussians that share one covariance.
        """
        how, count = self._profile.known, len(real.masks)
        strength = how.tilt * count / (count + how.prior)
        return [strength * mean for mean in vectors.mean_defect(self._levels, real, self._sizes)]

    def _judged(self, module: BgadServed) -> float:
        with torch.inference_mode():
            scores = [module.score_float(x)[0] for x in vectors.batches(self._judges.pictures)]
        return auroc(torch.cat(scores).numpy(), self._judges.anomalous)


def _split(given: FitInput) -> tuple[NDArray[np.bool_], Judges]:
    """Return which normals (N,) are trained on, and the other normals with their pseudo-anomalies."""
    rng = np.random.default_rng([given.seed, len(given.normals)])
    sources = np.unique(given.bank.source)
    aside = rng.permutation(sources)[: max(1, len(given.normals) // HELD_OUT_OF)]
    kept = ~np.isin(np.arange(len(given.normals)), aside)
    pseudo = rng.permutation(np.flatnonzero(np.isin(given.bank.source, aside)))[:MOST_JUDGED]
    pictures = np.concatenate([given.normals[~kept], given.bank.pictures[pseudo]])
    return kept, Judges(pictures, np.arange(len(pictures)) >= int((~kept).sum()))


def _density(flow: nn.Module, of: Vectors) -> Tensor:
    """Return log-densities, computed in parts: all normals of a level at once would need a gigabyte."""
    parts = zip(torch.split(of.values, AT_ONCE), torch.split(of.places, AT_ONCE), strict=True)
    return torch.cat([flow(values, places) for values, places in parts])


def _with(module: nn.Module, weights: dict[str, Tensor]) -> nn.Module:
    """Return a copy of ``module`` with other weights."""
    copied = copy.deepcopy(module)
    copied.load_state_dict(weights)
    return copied
