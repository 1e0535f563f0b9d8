"""How good is a model, clean, in bad light and under attack, and can the figures be believed?

The attack differentiates the served score itself and moves normals up and anomalies down. A number that an
attack should not be able to give (a robust AUROC above the clean one, say) fails a check beside it.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from trainer.data.mvtec import TestSet
from trainer.detector_protocol import OnProgress, Served
from trainer.evaluation.attack_plan import AttackResult
from trainer.evaluation.auroc import auroc
from trainer.evaluation.evaluator import EvaluationSettings, Evaluator, ModelUnderTest
from trainer.evaluation.examples import ShownPicture
from trainer.evaluation.results import FreshResults
from trainer.evaluation.sanity import TransferSource, chosen
from trainer.evaluation.subject import Scores

DIGITS = 4


@dataclass(frozen=True, slots=True)
class Evaluation:
    """``figures`` is the JSON; the rest is for reports and plots: scores (N,), clean; what attacks did to the
    ``chosen`` pictures (K,), by the size's name; the curve, AUROC by epsilon; and pictures to look at, by
    what they are examples of.
    """

    figures: dict[str, Any]
    anomalous: NDArray[np.bool_]
    clean: Scores
    chosen: NDArray[np.intp]
    attacked: dict[str, AttackResult]
    curve: dict[float, float]
    examples: Mapping[str, Sequence[ShownPicture]] = field(default_factory=dict)


def evaluate(
    module: Served,
    test: TestSet,
    settings: EvaluationSettings,
    on_progress: OnProgress,
    other: Served | None = None,
) -> Evaluation:
    """Return the figures of ``module`` on ``test``; ``other``: a second model, whose attack must do less
    harm. Raises ValueError when a score is not finite.
    """
    began = time.monotonic()
    model = ModelUnderTest(module, other=None if other is None else TransferSource(other))
    found = Evaluator(model, test, settings, FreshResults(), on_progress)
    target, severity = found.target, str(settings.corruptions.severities[0])
    image: dict[str, JsonValue] = {
        "clean": _rounded(auroc(found.clean, test.anomalous)),
        "noise": _rounded(found.noise),
        "pgd": {size: _all_rounded(result.stages) for size, result in found.attacked.items()},
        "sides": {size: dict(sides.rounded(DIGITS)) for size, sides in found.by_side().items()},
        "corruptions": {name: own[severity]["auroc"] for name, own in found.corruptions().items()},
    }
    if found.certified:
        image["certified"] = _all_rounded(found.certified)
    figures: dict[str, Any] = {
        "image_auroc": image,
        "attack": {"at": settings.at, **count_of_each_kind(target.anomalous)},
    }
    if test.masks is not None:
        figures["pixel"] = {**found.localisation(), "pgd": _all_rounded(found.attacked_pixel_aurocs())}
    figures["kinds"] = found.kinds()
    sanity = None
    if settings.checked:
        sanity = found.sanity(chosen(target.anomalous, settings.checked))
    checks = found.checks(_by_size_and_steps(found.attacked), sanity)
    figures["sanity"] = [check.as_json() for check in checks]
    figures["seconds"] = round(time.monotonic() - began, 1)
    figures["forward_ms"] = found.forward_ms()
    curve = {} if sanity is None else sanity.by_size
    return Evaluation(figures, test.anomalous, found.clean, found.chosen, found.attacked, curve)


def count_of_each_kind(anomalous: NDArray[np.bool_]) -> dict[str, int]:
    """Return how many ``good`` and ``defective`` pictures there are."""
    return {"good": int((~anomalous).sum()), "defective": int(anomalous.sum())}


def _by_size_and_steps(attacked: Mapping[str, AttackResult]) -> dict[str, float]:
    return {
        f"{size} x {steps}": value
        for size, found in attacked.items()
        for steps, value in found.stages.items()
    }


def _all_rounded(figures: Mapping[str, float]) -> dict[str, JsonValue]:
    return {name: _rounded(value) for name, value in figures.items()}


def _rounded(value: float) -> float:
    return round(value, DIGITS)
