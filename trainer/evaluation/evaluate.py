"""How good is a model, clean, in bad light and under attack, and can the figures be believed?

The attack differentiates the served score itself and moves normals up and anomalies down. A number that an
attack should not be able to give (a robust AUROC above the clean one, say) fails a check beside it.
"""

import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import JsonValue
from torch import Tensor

from trainer.data.mvtec import TestSet
from trainer.detector_protocol import OnProgress, Served
from trainer.evaluation.attacks import Attack, Pgd, RandomSigns
from trainer.evaluation.auroc import auroc
from trainer.evaluation.certificate import certified_auroc
from trainer.evaluation.corruption import CORRUPTIONS, Severity
from trainer.evaluation.localisation import Maps, localisation
from trainer.evaluation.native import Native
from trainer.evaluation.per_defect import by_kind
from trainer.evaluation.sanity import BLIND_NOISE, Check, Sanity, chosen
from trainer.evaluation.subject import AttackTarget, Scores, floats

DIGITS = 4
CERTIFICATE_SLACK = 1e-4  # ties that float32 decides either way
_SEVERITY: Severity = 2  # of the corruptions: a bad day
_SANITY_COST = 470  # picture-steps per picture that the checks take, for the progress


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """Sizes and steps of the attacks; how many pictures of each kind are attacked (None: all of them) and how
    many the checks take (0: no checks).
    """

    epsilons: tuple[float, ...] = (2 / 255, 4 / 255)
    steps: tuple[int, ...] = (20, 100)
    restarts: int = 1
    attacked: int | None = None
    checked: int = 48
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """``figures`` is the JSON; the rest is for the report: scores (N,), clean, and by epsilon, of the
    ``chosen`` pictures (K,) that were attacked; and the curve.
    """

    figures: dict[str, JsonValue]
    anomalous: NDArray[np.bool_]
    clean: Scores
    chosen: NDArray[np.intp]
    attacked: dict[str, Scores]
    curve: dict[float, float]


def name_of(epsilon: float) -> str:
    """Return 2/255 for 0.00784."""
    return f"{round(epsilon * 255, 3):g}/255"


def evaluate(
    module: Served,
    test: TestSet,
    settings: EvaluationSettings,
    on_progress: OnProgress,
    other: Served | None = None,
) -> Evaluation:
    """Return the figures of ``module`` on ``test``; ``other``: a second model, whose attack must do less
    harm. With ``test.native`` the camera's pixels are attacked, else those of the model's input.

    Raises ValueError when a score is not finite.
    """
    began = time.monotonic()
    served = AttackTarget.of(module, test.pictures, test.anomalous)
    scores = served.scores(served.x)
    subject, index = _attacked_subject(module, test, settings)
    work = _AttackRuns(subject, settings, on_progress)
    clean = subject.scores(subject.x)
    noise = subject.auroc(work.scores(RandomSigns(settings.epsilons[0], settings.seed), "noise"))
    robust, attacked, hit = work.pgd()
    image: dict[str, JsonValue] = {
        "clean": _rounded(served.auroc(scores)),
        "noise": _rounded(noise),
        "pgd": {name: {k: _rounded(v) for k, v in found.items()} for name, found in robust.items()},
        "corruptions": {
            name: _rounded(served.auroc(served.scores(floats(corrupt(test.pictures, _SEVERITY)))))
            for name, corrupt in CORRUPTIONS.items()
        },
    }
    proven = certified(subject, settings.epsilons)
    if proven:
        image["certified"] = {name: _rounded(value) for name, value in proven.items()}
    figures: dict[str, JsonValue] = {"image_auroc": image, "attack": _attack_facts(subject)}
    maps = None if test.masks is None else _located_maps(served, test)
    if maps is not None:
        figures["pixel"] = _pixel(served, test, maps, (index, hit))
    figures["kinds"] = {kind: dict(own) for kind, own in by_kind(test, scores, maps).items()}
    checks = _whole_checks(subject.auroc(clean), noise, robust)
    if proven:
        checks.append(_certificate_kept(proven, robust))
    curve: dict[float, float] = {}
    if settings.checked:
        sanity = Sanity(subject.part(chosen(subject.anomalous, settings.checked)), settings.seed)
        checks += [check for check in work.each(sanity, other)]
        curve = sanity.by_size
    figures["sanity"] = [check.as_json() for check in checks]
    figures["seconds"] = round(time.monotonic() - began, 1)
    figures["forward_ms"] = forward_ms(module, test)
    return Evaluation(figures, test.anomalous, scores, index, attacked, curve)


def _attacked_subject(
    module: Served, test: TestSet, settings: EvaluationSettings
) -> tuple[AttackTarget, NDArray[np.intp]]:
    """Return the pictures that are attacked, at their native size if that is known, and which they are."""
    count = len(test.pictures) if settings.attacked is None else settings.attacked
    index = np.sort(chosen(test.anomalous, count))
    if test.native is None:
        return AttackTarget.of(module, test.pictures, test.anomalous).part(index), index
    native = Native([test.native[place] for place in index], test.pictures.shape[1])
    return AttackTarget.at_native(module, native, test.anomalous[index]), index


def _attack_facts(subject: AttackTarget) -> dict[str, JsonValue]:
    defective = int(subject.anomalous.sum())
    at = "input" if subject.native is None else "native"
    return {"at": at, "good": len(subject.anomalous) - defective, "defective": defective}


class _AttackRuns:
    """Runs the attacks and says how far it is, in pictures times steps."""

    def __init__(self, subject: AttackTarget, settings: EvaluationSettings, on_progress: OnProgress) -> None:
        self._subject, self._settings, self._on_progress = subject, settings, on_progress
        self._done = 0
        attacks = len(settings.epsilons) * sum(settings.steps) * settings.restarts
        self._total = len(subject.x) * (1 + attacks) + 2 * settings.checked * _SANITY_COST

    def scores(self, attack: Attack, name: str, cost: int = 1) -> Scores:
        """Return the scores of all pictures under ``attack``."""
        return self._subject.scores(self.attacked(attack, name, cost))

    def attacked(self, attack: Attack, name: str, cost: int) -> Tensor:
        """Return the attacked pictures; each costs ``cost`` steps."""

        def report(done: int) -> None:
            self._on_progress(min(self._total, self._done + done * cost), self._total, name)

        found = self._subject.attacked(attack, report)
        self._done += len(self._subject.x) * cost
        return found

    def pgd(self) -> tuple[dict[str, dict[str, float]], dict[str, Scores], dict[str, Tensor]]:
        """Return AUROC by epsilon and steps; scores and pictures by epsilon under the longest attack."""
        found: dict[str, dict[str, float]] = {}
        longest: dict[str, Scores] = {}
        pictures: dict[str, Tensor] = {}
        for epsilon in self._settings.epsilons:
            name = name_of(epsilon)
            found[name] = {}
            for steps in sorted(self._settings.steps):
                attack = Pgd(epsilon, steps, self._settings.restarts, seed=self._settings.seed)
                pictures[name] = self.attacked(attack, f"PGD-{steps} {name}", steps * attack.restarts)
                longest[name] = self._subject.scores(pictures[name])
                found[name][str(steps)] = self._subject.auroc(longest[name])
        return found, longest, pictures

    def each(self, sanity: Sanity, other: Served | None) -> list[Check]:
        """Return the checks of ``sanity``."""
        found = []
        for check in sanity.checks(other):
            found.append(check)
            self._on_progress(min(self._total, self._done + len(found)), self._total, check.check)
        self._on_progress(self._total, self._total, "done")
        return found


def certified(subject: AttackTarget, epsilons: tuple[float, ...]) -> dict[str, float]:
    """Return, by epsilon, the AUROC that no attack on the model's input can go below; empty when unproven."""
    found = {
        name_of(epsilon): certified_auroc(subject.module, subject.x, subject.anomalous, epsilon)
        for epsilon in epsilons
    }
    return {name: value for name, value in found.items() if value is not None}


def _certificate_kept(proven: dict[str, float], robust: dict[str, dict[str, float]]) -> Check:
    worst = {name: min(found.values()) for name, found in robust.items()}
    kept = all(worst[name] >= floor - CERTIFICATE_SLACK for name, floor in proven.items())
    figure = {
        f"{name} {kind}": value
        for kind, values in (("proven", proven), ("attacked", worst))
        for name, value in values.items()
    }
    return Check("no attack does more than the certificate allows", kept, figure)


def _whole_checks(clean: float, noise: float, robust: dict[str, dict[str, float]]) -> list[Check]:
    """The checks that need no attack of their own, on all pictures."""
    worst = {f"{name} x {steps}": value for name, found in robust.items() for steps, value in found.items()}
    lower = all(value <= clean for value in worst.values())
    return [
        Check("robust is not above clean", lower, {"clean": clean, **worst}),
        Check(
            "random noise is about clean", abs(noise - clean) <= BLIND_NOISE, {"clean": clean, "noise": noise}
        ),
    ]


def _pixel(
    served: AttackTarget, test: TestSet, maps: Maps, attacked: tuple[NDArray[np.intp], dict[str, Tensor]]
) -> dict[str, JsonValue]:
    """Return the pixel figures over the pictures whose mask is known, and the AUROC under the longest attacks
    over those of them that were ``attacked``: which they are, and what became of them by epsilon.
    """
    assert test.masks is not None
    masks = test.masks[test.located]
    index, hit = attacked
    known = test.located[index]
    truth, rows = test.masks[index[known]].ravel(), torch.from_numpy(known)
    pgd: dict[str, JsonValue] = {
        name: _rounded(auroc(served.maps(x[rows]).ravel(), truth)) for name, x in hit.items()
    }
    return {**localisation(maps, masks).rounded(), "pgd": pgd}


def _located_maps(served: AttackTarget, test: TestSet) -> Maps:
    return served.maps(served.x[torch.from_numpy(np.flatnonzero(test.located))])


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


def _rounded(value: float) -> float:
    return round(value, DIGITS)
