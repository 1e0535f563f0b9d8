"""One cell of the matrix: everything that is measured of one model on one data set.

What needs no gradient (clean and corrupted pictures) is scored by the exported graph, which is what is served
and for frozen features the faster one: ``ms`` of the table, beside what ``bench.line.serving`` prints.
Attacks go through the torch twin, which is checked against the graph.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.robustness.attacks import AttackResult, attacked
from bench.robustness.corruptions import corrupted, rates
from bench.robustness.graph import graph_check
from bench.robustness.localisation import attacked_localisation, pixel_figures
from bench.robustness.model import EvaluatedModel
from bench.robustness.plan import AttackSettings
from bench.robustness.result_cache import ResultCache
from trainer.data.mvtec import TestSet
from trainer.evaluation.attacks import RandomSigns
from trainer.evaluation.corruption import CORRUPTIONS
from trainer.evaluation.evaluate import CERTIFICATE_SLACK, certified, forward_ms, name_of
from trainer.evaluation.native import Native
from trainer.evaluation.sanity import BLIND_NOISE, Check, Sanity, chosen
from trainer.evaluation.subject import AttackTarget, Scores
from trainer.jobs.build import all_scores
from trainer.jobs.export import OnnxModel


@dataclass(frozen=True, slots=True)
class RunResult:
    """``figures`` is the JSON. For the plots: scores (N,), which were attacked, and by epsilon how."""

    figures: dict[str, Any]
    clean: Scores
    anomalous: NDArray[np.bool_]
    chosen: NDArray[np.intp]
    attacked: dict[str, AttackResult]


def measure(
    model: EvaluatedModel,
    test: TestSet,
    settings: AttackSettings,
    kept: ResultCache,
    other: EvaluatedModel | None,
) -> RunResult:
    """Return everything of one model on ``test``, which comes with its native pictures.

    ``other`` is the same detector of another seed, whose attacks are tried on this one.
    """
    whole = AttackTarget.of(model.module, test.pictures, test.anomalous)
    graph = OnnxModel(model.graph)
    clean = kept.scores("clean", lambda: all_scores(graph, test.pictures))
    index = _chosen(test.anomalous, settings.attacked)
    subject = _subject(model, test, settings).part(index)
    hit = {name_of(epsilon): attacked(subject, epsilon, settings, kept) for epsilon in settings.epsilons}
    unattacked = subject.auroc(kept.scores("unrounded", lambda: subject.scores(subject.x)))
    proven: dict[str, float] = kept.value("certified", lambda: certified(subject, settings.epsilons))
    blind = kept.scores("noise", lambda: _noise(subject, settings))
    checks = [
        _not_above(unattacked, hit),
        _blind(unattacked, subject.auroc(blind)),
        _graph(model, subject, hit, kept),
    ]
    checks += [_certificate(proven, hit)] if proven else []
    sanity = _sanity(subject, settings, kept, other)
    checks += list(sanity.checks(None if other is None else other.module))
    figures: dict[str, Any] = {
        "clean": round(whole.auroc(clean), 4),
        "noise": round(subject.auroc(blind), 4),
        "attacked": {name: _row(found) for name, found in hit.items()},
        "attacked_pictures": _count(subject.anomalous),
        "pictures": _count(test.anomalous),
        "certified": {name: round(value, 4) for name, value in proven.items()},
        "rates": rates(clean, test.anomalous, model.threshold),
        "corruptions": _corruptions(graph, test, model.threshold, kept),
        "curve": {name_of(epsilon): round(value, 4) for epsilon, value in sanity.by_size.items()},
        "checked_pictures": settings.checked,
        "sanity": [check.as_json() for check in checks],
        "forward_ms": kept.value("forward", lambda: forward_ms(model.module, test)),
        **model.facts,
    }
    if test.masks is not None:
        figures["pixel"] = {
            "clean": kept.value("map of all", lambda: _all_located(whole, test)),
            **_located(subject, test, index, (settings, kept)),
        }
    figures["evaluation_cpu_seconds"] = kept.cpu_seconds()
    return RunResult(figures, clean, test.anomalous, index, hit)


def _subject(model: EvaluatedModel, test: TestSet, settings: AttackSettings) -> AttackTarget:
    assert test.native is not None
    if settings.at == "input":
        found = AttackTarget.of(model.module, test.pictures, test.anomalous)
    else:
        found = AttackTarget.at_native(model.module, Native(test.native, model.size), test.anomalous)
    return replace(found, mixed=settings.mixed)


def _sanity(
    subject: AttackTarget, settings: AttackSettings, kept: ResultCache, other: EvaluatedModel | None
) -> Sanity:
    def remember(name: str, make: Callable[[], Scores]) -> Scores:
        return kept.scores(f"{name} {other.digest[:8]}" if other and name == "transfer" else name, make)

    part = subject.part(_chosen(subject.anomalous, settings.checked))
    return Sanity(part, settings.seed, remember)


def _chosen(anomalous: NDArray[np.bool_], of_each: int | None) -> NDArray[np.intp]:
    return np.sort(chosen(anomalous, len(anomalous) if of_each is None else of_each))


def _noise(subject: AttackTarget, settings: AttackSettings) -> Scores:
    return subject.scores(subject.attacked(RandomSigns(settings.epsilons[0], settings.seed)))


def _corruptions(graph: OnnxModel, test: TestSet, threshold: float, kept: ResultCache) -> dict[str, Any]:
    return {
        name: kept.value(f"corruption {name}", partial(corrupted, graph, test, name, threshold))
        for name in CORRUPTIONS
    }


def _all_located(whole: AttackTarget, test: TestSet) -> dict[str, float]:
    """Every picture whose mask is known, as in ``evaluate``."""
    assert test.masks is not None
    known = np.flatnonzero(test.located)
    part = whole.part(known)
    return pixel_figures(part, part.x, test.masks[known])


def _located(
    subject: AttackTarget, test: TestSet, index: NDArray[np.intp], how: tuple[AttackSettings, ResultCache]
) -> dict[str, Any]:
    """Some of each kind of the attacked pictures whose mask is known, before and after."""
    assert test.masks is not None
    settings, kept = how
    known = np.flatnonzero(test.located[index])
    rows = known[_chosen(subject.anomalous[known], settings.checked)]
    return attacked_localisation(
        subject.part(rows), test.masks[index[rows]], settings.epsilons, (settings.seed, kept)
    )


def _row(found: AttackResult) -> dict[str, Any]:
    return {
        "auroc": found.auroc,
        "is_bound": found.is_bound,
        "stages": found.stages,
        "unsettled": found.unsettled,
    }


def _count(anomalous: NDArray[np.bool_]) -> dict[str, int]:
    return {"good": int((~anomalous).sum()), "defective": int(anomalous.sum())}


def _not_above(clean: float, hit: dict[str, AttackResult]) -> Check:
    figure = {"clean": clean, **{name: found.auroc for name, found in hit.items()}}
    return Check("robust is not above clean", all(value <= clean + 5e-5 for value in figure.values()), figure)


def _blind(clean: float, noise: float) -> Check:
    holds = abs(noise - clean) <= BLIND_NOISE
    return Check("random noise is about clean", holds, {"clean": clean, "noise": noise})


def _graph(
    model: EvaluatedModel, subject: AttackTarget, hit: dict[str, AttackResult], kept: ResultCache
) -> Check:
    name, largest = list(hit.items())[-1]
    row = kept.value(
        f"graph {name}",
        lambda: graph_check(model.module, model.graph, largest.pictures, subject.anomalous).as_json(),
    )
    return Check(row["check"], row["holds"], row["figure"])


def _certificate(proven: dict[str, float], hit: dict[str, AttackResult]) -> Check:
    holds = all(hit[name].auroc >= floor - CERTIFICATE_SLACK for name, floor in proven.items())
    figure = {
        **{f"{name} proven": value for name, value in proven.items()},
        **{f"{name} attacked": found.auroc for name, found in hit.items()},
    }
    return Check("no attack does more than the certificate allows", holds, figure)
