"""The gate's figures of one model on held-out frames: AUROC, clean, attacked and corrupted, and detection.

Pseudo-anomalies stand in for defects, because real defects are few and no training knows them. Each figure is
measured on the same frames for every model. The attack goes through the model's own served score.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steadyline.line import GateSection
from steadyline.package import WEIGHTS, Card
from trainer.arrays import Pictures, PseudoBank
from trainer.data.banks import HeldOutSet
from trainer.detector_protocol import FitInput, OnProgress, Served
from trainer.detectors.registry import detector_named
from trainer.evaluation.attacks import Pgd
from trainer.evaluation.certificate import certified_auroc
from trainer.evaluation.subject import AttackTarget, rounded
from trainer.fit import rebuild
from trainer.jobs.native_sight import sight_of
from trainer.jobs.spec import Figures
from trainer.sight import blind_reason

# So many normals and as many pseudo-anomalies are measured. The standard error of an AUROC from 96 of each is
# about .03. Both models are measured on the same frames, so the error of their difference, which is what the
# gate compares, is a good deal smaller.
MOST_FRAMES = 96
ATTACK_SEED = 0
DETECTION = "detection_rate"

ReportDone = Callable[[int, int], None]


def measure(
    module: Served, known: HeldOutSet, threshold: float, gate: GateSection, on_progress: ReportDone
) -> Figures:
    """Return the figures of ``module``; the same module and frames give the same figures.

    The detection is that of all pseudo-anomalies at ``threshold``, which is the module's own.
    """
    everything = AttackTarget.of(module, known.anomalies, np.ones(len(known.anomalies), np.bool_))
    subject = AttackTarget.of(module, *_chosen(known))

    def report(done: int) -> None:
        on_progress(done, len(subject.x))

    hit = subject.attacked(Pgd(gate.epsilon, gate.steps, seed=ATTACK_SEED), report)
    clean, attacked_scores = subject.scores(subject.x), subject.scores(hit)
    sides = subject.by_side(clean, attacked_scores)
    return Figures(
        clean=subject.auroc(clean),
        attacked=subject.auroc(attacked_scores),
        hidden=sides.hide,
        raised=sides.raise_,
        by_hiding=bool(module.halves),
        corrupted=subject.auroc(subject.scores(subject.x.mul(0.6).add(0.2))),
        detection=float(np.mean(everything.scores(everything.x) > threshold)),
    )


def certified_companion(normals: Pictures, progress: OnProgress) -> Served:
    """Return the certified distance to normals (N, H, W, C); fitting takes seconds and learns nothing."""
    none = PseudoBank(
        normals[:0], np.zeros((0, *normals.shape[1:3]), bool), np.zeros(0, np.int64), transform=()
    )
    return detector_named("certified").fit(FitInput(normals, none, "cpu", 0), progress, None).module


def measure_floor(companion: Served, known: HeldOutSet, gate: GateSection) -> float:
    """Return the AUROC that no attack within the gate's epsilon can bring ``companion`` under, on the frames
    of ``measure``.
    """
    subject = AttackTarget.of(companion, *_chosen(known))
    floor = certified_auroc(companion, subject.x, subject.anomalous, gate.epsilon)
    assert floor is not None, "the companion proves its bounds"
    return floor


def attacked(module: Served, pictures: Pictures, is_anomaly: NDArray[np.bool_], epsilon: float) -> Pictures:
    """Return pictures (N, H, W, C) attacked in the model's disfavour, rounded to what a camera can send."""
    hit = AttackTarget.of(module, pictures, is_anomaly).attacked(Pgd(epsilon, steps=5, seed=ATTACK_SEED))
    return rounded(hit)


def named_figures(figures: Figures, gate: GateSection) -> dict[str, float]:
    """Return the figures under the names they have in cards and events."""
    sides = {"hide": figures.hidden, "raise": figures.raised}
    return {
        "clean_auroc": figures.clean,
        attacked_name(gate): figures.attacked,
        **{attacked_name(gate, side): value for side, value in sides.items() if value is not None},
        "corrupted_auroc": figures.corrupted,
        DETECTION: figures.detection,
    }


def figures_of(card: Card, gate: GateSection) -> Figures:
    """Return the gate's figures that a card carries."""
    sight = sight_of(card.figures)
    return Figures(
        clean=card.figures["clean_auroc"],
        attacked=card.figures[attacked_name(gate)],
        corrupted=card.figures["corrupted_auroc"],
        detection=card.figures[DETECTION],
        hidden=card.figures.get(attacked_name(gate, "hide")),
        raised=card.figures.get(attacked_name(gate, "raise")),
        by_hiding=bool(card.halves),
        blind=None if sight is None else blind_reason(sight),
    )


def attacked_name(gate: GateSection, side: str = "") -> str:
    """Return the name of the attacked figure: ``pgd_auroc_2/255`` for an epsilon of two steps of 8 bits, and
    ``pgd_hide_auroc_2/255`` or ``pgd_raise_auroc_2/255`` of one side of the attack.
    """
    return f"pgd_{side}{'_' * bool(side)}auroc_{gate.epsilon * 255:g}/255"


def rebuilt(card: Card, files: Mapping[str, bytes]) -> Served:
    """Return the torch module of a loaded package; raises PackageRejected when recipe and weights differ."""
    recipe: dict[str, Any] = dict(card.recipe)
    return rebuild(recipe, files[WEIGHTS])


def _chosen(known: HeldOutSet) -> tuple[Pictures, NDArray[np.bool_]]:
    """Return MOST_FRAMES normals and as many anomalies, picked evenly over the frames as they come."""
    normals = known.normals[_evenly(len(known.normals))]
    anomalies = known.anomalies[_evenly(len(known.anomalies))]
    pictures = np.concatenate([normals, anomalies])
    return pictures, np.arange(len(pictures)) >= len(normals)


def _evenly(count: int) -> NDArray[np.intp]:
    return np.unique(np.linspace(0, count - 1, min(count, MOST_FRAMES)).round().astype(np.intp))
