"""The one place that measures a model on test pictures: clean, corrupted, attacked, certified, localised.

What is made of the figures is the caller's: ``trainer evaluate`` and the bench of robustness print them each
in its own way. Which attacks are run, and where known results come from, are arguments.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steadyline.grid import Grid
from trainer.arrays import Masks, Pictures
from trainer.data.mvtec import TestSet
from trainer.detector_protocol import OnProgress, Served
from trainer.evaluation.attack_plan import (
    AttackPlan,
    AttackResult,
    AttackRuns,
    IndependentAttacks,
    NamedAttack,
)
from trainer.evaluation.attacks import Pgd, RandomSigns, name_of
from trainer.evaluation.auroc import auroc
from trainer.evaluation.certificate import certified_aurocs
from trainer.evaluation.checks import certificate_is_kept, noise_is_about_clean, not_above_clean
from trainer.evaluation.corruption import CORRUPTIONS
from trainer.evaluation.corruption_figures import CorruptionSettings, SeverityFigures, corruption_figures
from trainer.evaluation.exported_graph import ExportedGraph, graph_check
from trainer.evaluation.localisation import Maps, localisation
from trainer.evaluation.map_attack import attack_map
from trainer.evaluation.native import Native
from trainer.evaluation.per_defect import KindFigures, by_kind
from trainer.evaluation.results import Results
from trainer.evaluation.sanity import Check, Sanity, TransferSource, chosen
from trainer.evaluation.subject import AttackTarget, Scores, SideAurocs, floats, rounded

MAP_STEPS = 20  # of the attack on the map
_SANITY_COST = 470  # picture-steps per picture that the checks take, for the progress

PixelFigures = dict[str, float]


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """What a model is put to. ``attack`` is run for each of ``epsilons``, on ``attacked`` pictures of each
    kind (None: all of them); ``checked`` pictures of each kind are under the checks (0: no checks).

    ``at`` says whose pixels are attacked: those of the model's input, or the camera's own, through the
    resize. With ``mixed`` attacks search in bfloat16; scores are float32 always.
    """

    epsilons: tuple[float, ...] = (2 / 255, 4 / 255)
    attack: AttackPlan = field(default_factory=IndependentAttacks)
    attacked: int | None = None
    checked: int = 48
    at: Literal["input", "native"] = "input"
    mixed: bool = False
    corruptions: CorruptionSettings = field(default_factory=CorruptionSettings)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class ModelUnderTest:
    """The torch module, which is attacked, and what is known of it.

    Clean and corrupted pictures are scored by the ``exported`` graph where there is one, since that is what
    is served. With a ``threshold`` there are rates of false alarms and misses; with ``other``, the check that
    the attacks of another model do less harm.
    """

    module: Served
    exported: ExportedGraph | None = None
    threshold: float | None = None
    other: TransferSource | None = None


class Evaluator:
    """Measures one model on one test set; each figure is made when it is first asked for.

    ``chosen`` (K,) are the pictures that are attacked, and ``target`` is the model with them. Every figure
    raises ValueError when a score is not finite.
    """

    def __init__(
        self,
        model: ModelUnderTest,
        test: TestSet,
        settings: EvaluationSettings,
        results: Results,
        on_progress: OnProgress,
    ) -> None:
        self._model, self._test, self._settings, self._results = model, test, settings, results
        self._whole = AttackTarget.of(model.module, test.pictures, test.anomalous)
        count = len(test.pictures) if settings.attacked is None else settings.attacked
        self.chosen = np.sort(chosen(test.anomalous, count))
        self.target = _target(model.module, test, self.chosen, settings)
        steps = 1 + len(settings.epsilons) * settings.attack.total_steps
        total = len(self.target.x) * steps + 2 * settings.checked * _SANITY_COST
        self._runs = AttackRuns(results, on_progress, total)

    @cached_property
    def clean(self) -> Scores:
        """Scores (N,) of all pictures as they are."""
        return self._results.scores("clean", lambda: self._score(self._test.pictures))

    @cached_property
    def noise(self) -> float:
        """The AUROC of the chosen pictures under random signs of the smallest attack's size."""
        attack = NamedAttack("noise", RandomSigns(self._settings.epsilons[0], self._settings.seed))
        found = self._results.scores(
            attack.name, lambda: self.target.scores(self._runs.attacked(self.target, attack))
        )
        return self.target.auroc(found)

    @cached_property
    def attacked(self) -> dict[str, AttackResult]:
        """What the attacks did to the chosen pictures, by the size's name, smallest first as settings go."""
        settings = self._settings
        return {
            name_of(epsilon): settings.attack.run(self.target, epsilon, settings.seed, self._runs)
            for epsilon in settings.epsilons
        }

    def by_side(self) -> dict[str, SideAurocs]:
        """Return the AUROC of each side of the attack alone, by the size's name."""
        return {
            name: self.target.by_side(self._unattacked, found.scores) for name, found in self.attacked.items()
        }

    @cached_property
    def certified(self) -> dict[str, float]:
        """The AUROC that no attack can go below, by the size's name; empty when the model proves nothing."""
        found: dict[str, float] = self._results.value(
            "certified", lambda: certified_aurocs(self.target, self._settings.epsilons)
        )
        return found

    def corruptions(self) -> dict[str, SeverityFigures]:
        """Return the figures of all pictures under each corruption, by its name and severity."""
        return {name: self._corrupted(name) for name in CORRUPTIONS}

    def _corrupted(self, name: str) -> SeverityFigures:
        settings, threshold = self._settings.corruptions, self._model.threshold
        make = partial(corruption_figures, self._score, self._test, name, settings, threshold)
        found: SeverityFigures = self._results.value(f"corruption {name}", make)
        return found

    def localisation(self) -> PixelFigures:
        """Return the figures of the clean maps of all pictures whose mask is known."""
        found: PixelFigures = self._results.value(
            "map of all", lambda: localisation(self._maps, self._masks[self._test.located]).rounded()
        )
        return found

    def kinds(self) -> dict[str, KindFigures]:
        """Return the clean figures of each kind of defect alone, against all good pictures."""
        return by_kind(self._test, self.clean, None if self._test.masks is None else self._maps)

    def attacked_pixel_aurocs(self) -> dict[str, float]:
        """Return the pixel AUROC of the pictures that ``attacked`` ends with, by the size's name."""
        known = self._test.located[self.chosen]
        truth, rows = self._masks[self.chosen[known]].ravel(), torch.from_numpy(known)
        return {
            name: auroc(self._whole.maps(found.pictures[rows]).ravel(), truth)
            for name, found in self.attacked.items()
        }

    def attacked_localisation(self) -> dict[str, int | PixelFigures]:
        """Return the figures of maps under an attack of their own, by the size's name, and ``unattacked``.

        They are of the ``checked`` ones of each kind of the chosen pictures whose mask is known.
        """
        known = np.flatnonzero(self._test.located[self.chosen])
        rows = known[np.sort(chosen(self.target.anomalous[known], self._settings.checked))]
        part, masks = self.target.part(rows), self._masks[self.chosen[rows]]

        def figures(epsilon: float) -> PixelFigures:
            attack = Pgd(epsilon, MAP_STEPS, seed=self._settings.seed)
            return _pixel_figures(part, attack_map(part, masks, attack), masks)

        make = partial(_pixel_figures, part, part.x, masks)
        clean = self._results.value("map unattacked", make)
        found: dict[str, int | PixelFigures] = {"pictures": len(masks), "unattacked": clean}
        for epsilon in self._settings.epsilons:
            name = name_of(epsilon)
            found[name] = self._results.value(f"map PGD-{MAP_STEPS} {name}", partial(figures, epsilon))
        return found

    def sanity(self, rows: NDArray[np.intp]) -> Sanity:
        """Return the checks that need attacks of their own, on these of the chosen pictures.

        A picture's random start depends on its place among them, so that order is part of the figures.
        """
        return Sanity(self.target.part(rows), self._settings.seed, self._results)

    def checks(self, attacked: Mapping[str, float], sanity: Sanity | None) -> list[Check]:
        """Return every check of the figures; ``attacked`` holds the AUROCs that are to be told, by name.

        Without ``sanity`` those are left out that need attacks of their own.
        """
        clean = self.target.auroc(self._unattacked)
        found = [not_above_clean(clean, attacked), noise_is_about_clean(clean, self.noise)]
        if self._model.exported is not None:
            found.append(self._graph_check(self._model.exported))
        if self.certified:
            found.append(certificate_is_kept(self.certified, self.attacked))
        if sanity is not None:
            for count, check in enumerate(sanity.checks(self._model.other), 1):
                found.append(check)
                self._runs.report(count, check.check)
        self._runs.finish()
        return found

    def forward_ms(self) -> float:
        """Return milliseconds per picture through torch, in batches of eight."""
        ms: float = self._results.value("forward", lambda: forward_ms(self._model.module, self._test))
        return ms

    @cached_property
    def _unattacked(self) -> Scores:
        """Scores (K,) of the pictures that are attacked, as they are and not rounded to 8 bits."""
        return self._results.scores("unrounded", lambda: self.target.scores(self.target.x))

    @property
    def _masks(self) -> Masks:
        assert self._test.masks is not None, "the test set has ground truth"
        return self._test.masks

    @cached_property
    def _maps(self) -> Maps:
        """Clean maps (L, H, W) of all pictures whose mask is known."""
        return self._whole.maps(self._whole.x[torch.from_numpy(np.flatnonzero(self._test.located))])

    def _score(self, pictures: Pictures) -> Scores:
        exported = self._model.exported
        return self._whole.scores(floats(pictures)) if exported is None else exported.score(pictures)

    def _graph_check(self, exported: ExportedGraph) -> Check:
        name, largest = list(self.attacked.items())[-1]
        pictures, anomalous = rounded(largest.pictures), self.target.anomalous
        row = self._results.value(
            f"graph {name}",
            lambda: graph_check(self._model.module, exported, pictures, anomalous).as_json(),
        )
        return Check(row["check"], row["holds"], row["figure"])


def forward_ms(module: Served, test: TestSet, batch: int = 8, rounds: int = 15) -> float:
    """Return milliseconds per picture in batches of ``batch`` through torch, the median of some rounds."""
    pictures = torch.from_numpy(np.ascontiguousarray(test.pictures[:batch]))
    taken = []
    with torch.inference_mode():
        for _ in range(rounds):
            began = time.perf_counter()
            module(pictures)
            taken.append((time.perf_counter() - began) / len(pictures))
    return round(float(np.median(taken)) * 1000, 3)


def _pixel_figures(target: AttackTarget, x: Tensor, masks: Masks) -> PixelFigures:
    """Return pixel AUROC, AUPRO and average precision of pictures (N, C, H, W) with masks (N, H, W)."""
    return localisation(target.maps(x), masks).rounded()


def _target(
    module: Served, test: TestSet, index: NDArray[np.intp], settings: EvaluationSettings
) -> AttackTarget:
    """Return the model with the pictures that are attacked, at the size at which they are."""
    if settings.at == "input":
        found = AttackTarget.of(module, test.pictures, test.anomalous).part(index)
    else:
        assert test.native is not None, "the test set comes with its native pictures"
        native = Native([test.native[place] for place in index], Grid(*test.pictures.shape[1:3]))
        found = AttackTarget.at_native(module, native, test.anomalous[index])
    return replace(found, mixed=settings.mixed)
