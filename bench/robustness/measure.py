"""Measures one run of the bench: one model on one data set.

Clean and corrupted pictures need no gradient and are scored by the exported graph, which is what is served,
and which is faster for frozen features. Its time is ``ms`` of the table, to be read beside what
``bench.line.serving`` prints. Attacks go through the torch twin, which is checked against the graph.
"""

from functools import partial
from typing import Any

import numpy as np

from bench.robustness.attacks import StagedAttack
from bench.robustness.model import EvaluatedModel
from bench.robustness.plan import AttackSettings
from bench.robustness.result_cache import ResultCache
from trainer.data.mvtec import TestSet
from trainer.evaluation.attack_plan import AttackResult
from trainer.evaluation.attacks import name_of
from trainer.evaluation.auroc import auroc
from trainer.evaluation.corruption import SEVERITIES
from trainer.evaluation.corruption_figures import CorruptionSettings, error_rates
from trainer.evaluation.evaluate import Evaluation, count_of_each_kind
from trainer.evaluation.evaluator import EvaluationSettings, Evaluator, ModelUnderTest
from trainer.evaluation.exported_graph import ExportedGraph
from trainer.evaluation.sanity import TransferSource, chosen
from trainer.jobs.build import all_scores
from trainer.jobs.export import LARGEST_DIFFERENCE, OnnxModel


def measure(
    model: EvaluatedModel,
    test: TestSet,
    settings: AttackSettings,
    results: ResultCache,
    other: EvaluatedModel | None,
) -> Evaluation:
    """Return the whole evaluation of one model on ``test``, which comes with its native pictures.

    ``other`` is the same detector trained with another seed; its attacks are tried on this model.
    """
    evaluator = Evaluator(
        _under_test(model, other), test, evaluation_settings(settings), results, _say_nothing
    )
    target, clean = evaluator.target, evaluator.clean
    # The chosen pictures stay in their own order, because the stored results of earlier runs have that order.
    sanity = evaluator.sanity(np.sort(chosen(target.anomalous, settings.checked)))
    checks = evaluator.checks({name: found.auroc for name, found in evaluator.attacked.items()}, sanity)
    figures: dict[str, Any] = {
        "clean": _rounded(auroc(clean, test.anomalous)),
        "noise": _rounded(evaluator.noise),
        "attacked": {name: _attack_row(found) for name, found in evaluator.attacked.items()},
        "sides": {name: sides.rounded(4) for name, sides in evaluator.by_side().items()},
        "attacked_pictures": count_of_each_kind(target.anomalous),
        "pictures": count_of_each_kind(test.anomalous),
        "certified": {name: _rounded(value) for name, value in evaluator.certified.items()},
        "rates": error_rates(clean, test.anomalous, model.threshold),
        "corruptions": evaluator.corruptions(),
        "curve": {name_of(epsilon): _rounded(value) for epsilon, value in sanity.by_size.items()},
        "checked_pictures": settings.checked,
        "sanity": [check.as_json() for check in checks],
        "forward_ms": evaluator.forward_ms(),
        **model.facts,
    }
    if test.masks is not None:
        figures["pixel"] = {"clean": evaluator.localisation(), **evaluator.attacked_localisation()}
    figures["evaluation_cpu_seconds"] = results.cpu_seconds()
    return Evaluation(figures, test.anomalous, clean, evaluator.chosen, evaluator.attacked, sanity.by_size)


def evaluation_settings(settings: AttackSettings) -> EvaluationSettings:
    """Return the settings that the bench gives to the trainer's evaluator: staged attack, every severity."""
    return EvaluationSettings(
        epsilons=settings.epsilons,
        attack=StagedAttack(settings.first_steps, settings.steps, settings.restarts),
        attacked=settings.attacked,
        checked=settings.checked,
        at=settings.at,
        mixed=settings.mixed,
        corruptions=CorruptionSettings(SEVERITIES, "native"),
        seed=settings.seed,
    )


def _under_test(model: EvaluatedModel, other: EvaluatedModel | None) -> ModelUnderTest:
    graph = ExportedGraph(partial(all_scores, OnnxModel(model.graph)), LARGEST_DIFFERENCE)
    source = None if other is None else TransferSource(other.module, other.digest[:8])
    return ModelUnderTest(model.module, graph, model.threshold, source)


def _attack_row(found: AttackResult) -> dict[str, Any]:
    return {
        "auroc": _rounded(found.auroc),
        "is_bound": found.is_bound,
        "stages": {name: _rounded(value) for name, value in found.stages.items()},
        "unsettled": found.unsettled,
    }


def _rounded(value: float) -> float:
    return round(value, 4)


def _say_nothing(step: int, total: int, message: str) -> None:
    """Report nothing, because the result cache already says which results are made."""
