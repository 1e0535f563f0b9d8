"""Measure one candidate: a short training, the exported graph's cost, and what it makes of the evidence."""

import base64
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from steadyline.map_png import encode_map
from steadyline.prepare import Channels, prepare
from steadyline.score_scale import ScoreScale
from trainer.arrays import Pictures, PseudoBank
from trainer.crops.bank import make_crop_bank
from trainer.detectors.registry import detector_named
from trainer.evaluation.attacks import Pgd
from trainer.evaluation.auroc import auroc
from trainer.evaluation.certificate import certified_auroc
from trainer.evaluation.corruption import CORRUPTIONS
from trainer.evaluation.subject import AttackTarget
from trainer.fit import FitSettings, Trained, train
from trainer.jobs.calibrate import calibration
from trainer.jobs.export import OnnxModel, export
from trainer.jobs.served_cost import ServedCost, served_cost
from trainer.planner.measured import Candidate, Measured
from trainer.pseudo.bank import make_bank
from trainer.pseudo.entry import in_memory
from trainer.sight import Evidence, Sight, raised_share

EPSILON = 2 / 255  # of the attack and of what is proven
ATTACK_STEPS, ATTACKED = 5, 8  # steps of PGD, and pictures of each kind
WITHOUT_BANK = frozenset({"certified", "patch"})  # they learn from normals alone; a bank takes long
_CROPS, _CROPS_ASIDE = 1000, 64  # a short training sees no more
_COSTED = 16  # normals that a graph is made from of which only the cost is wanted
_PER_NORMAL = 4
_BATCH = 8

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PlanMaterial:
    """What candidates are measured on, as the camera took it: each picture (H, W, C), of its own size.

    ``blocks`` are the two blocks of held-out normals. ``pseudo`` were made of these, each of the one
    whose place ``drawn_into`` names, counted over both blocks; ``defects`` are known
    ones, none where nobody gave any.
    """

    trained: Sequence[Pictures]
    blocks: tuple[Sequence[Pictures], Sequence[Pictures]]
    pseudo: Sequence[Pictures]
    drawn_into: Sequence[int]
    defects: Sequence[Pictures]
    channels: Channels

    @property
    def example(self) -> Pictures:
        """The defect that the page shows."""
        return self.defects[0] if self.defects else self.pseudo[0]


@dataclass(frozen=True, slots=True)
class ShortTraining:
    """How a candidate is trained: ``steps`` of a learner, far fewer than ``fit`` takes."""

    steps: int
    seed: int
    false_alarm_rate: float
    device: str


def measure(
    candidate: Candidate,
    material: PlanMaterial,
    how: ShortTraining,
    work: Path,
    on_progress: Callable[[int, int], None],
) -> Measured:
    """Return the figures of a candidate; its graph lies in ``work`` while it is measured.

    Raises InvalidConfiguration when the detector does not take the grid or the pictures, ContractBroken when
    its graph differs from torch.
    """
    began = time.process_time()

    def at_grid(pictures: Sequence[Pictures]) -> Pictures:
        return _prepared(pictures, candidate, material)

    trained = _trained(candidate, at_grid(material.trained), how, on_progress)
    blocks = [at_grid(block) for block in material.blocks]
    judged: dict[Evidence, Pictures] = {"pseudo": at_grid(material.pseudo)} if material.pseudo else {}
    if material.defects:
        judged["defects"] = at_grid(material.defects)
    exported = export(trained.module, np.concatenate([blocks[0][:4], next(iter(judged.values()))[:4]]))
    cost = _cost(exported.model, work / "candidate.onnx", how.device)
    run = OnnxModel(exported.model)
    normals = [_scores(run, block) for block in blocks]
    whole = np.concatenate(normals)
    before: dict[Evidence, Scores] = {"pseudo": whole[np.array(material.drawn_into, np.intp)]}
    evidence = tuple(
        _sight(name, _scores(run, pictures), whole, how, before.get(name))
        for name, pictures in judged.items()
    )
    counted = judged.get("defects", judged.get("pseudo"))
    assert counted is not None
    withstood = _withstood(trained, np.concatenate(blocks)[:ATTACKED], counted[:ATTACKED])
    alarms, shifted = _false_alarms(run, blocks, normals, how.false_alarm_rate)
    return Measured(
        candidate=candidate,
        p99_ms=cost.p99_ms,
        memory_mib=cost.memory_mib,
        evidence=evidence,
        alarms=alarms,
        shifted=shifted,
        attacked=withstood.attacked,
        hidden=withstood.hidden,
        proven=withstood.proven,
        cpu_seconds=round(time.process_time() - began, 1),
        map_png=base64.b64encode(_map_png(run, at_grid([material.example]), whole, how)).decode(),
    )


def cost_of(candidate: Candidate, material: PlanMaterial, how: ShortTraining, work: Path) -> ServedCost:
    """Return what a candidate's graph will cost, from one step on a few normals: weights cost nothing.

    Raises as ``measure``.
    """
    normals = _prepared(material.trained[:_COSTED], candidate, material)
    trained = _trained(candidate, normals, replace(how, steps=1), lambda done, of: None)
    return _cost(export(trained.module, normals[:2]).model, work / "candidate.onnx", how.device)


def _prepared(pictures: Sequence[Pictures], candidate: Candidate, material: PlanMaterial) -> Pictures:
    return np.stack([prepare(one, candidate.grid, material.channels) for one in pictures])


def _cost(model: bytes, graph: Path, device: str) -> ServedCost:
    graph.write_bytes(model)
    cost = served_cost(graph, device)
    graph.unlink()
    return cost


def _trained(
    candidate: Candidate, normals: Pictures, how: ShortTraining, on_progress: Callable[[int, int], None]
) -> Trained:
    settings = FitSettings(candidate.detector, seed=how.seed, steps=how.steps)
    return train(
        normals,
        _bank(candidate.detector, normals, how),
        settings,
        lambda step, total, message: on_progress(step, total),
    )


def _bank(detector: str, normals: Pictures, how: ShortTraining) -> PseudoBank:
    """Return a small bank by the detector's own recipe, with no more crops than the steps can see."""
    if detector in WITHOUT_BANK:
        _, height, width, channels = normals.shape
        return PseudoBank(
            np.empty((0, height, width, channels), np.uint8),
            np.empty((0, height, width), bool),
            np.empty(0, np.int64),
            (),
        )
    recipe = detector_named(detector).bank_recipe("cpu")
    crops = recipe.crops_of(*normals.shape[1:3])
    if crops is None:
        return in_memory(make_bank(normals, replace(recipe, per_normal=_PER_NORMAL), how.seed))
    fewer = replace(crops, count=min(_CROPS, _CROPS_ASIDE * how.steps), aside=_CROPS_ASIDE)
    return in_memory(make_crop_bank(normals, replace(recipe, crops=fewer), how.seed))


def _map_png(run: OnnxModel, example: Pictures, normal: Scores, how: ShortTraining) -> bytes:
    """Return the map of one picture (1, H, W, C) as a scorer would keep it."""
    scores, maps = run(example)
    found = calibration(normal.tolist(), how.false_alarm_rate)
    scale = ScoreScale.of(found.scores, found.threshold)
    return encode_map(maps[0], scale.on_map(maps[0], float(scores[0])))


def _scores(run: OnnxModel, pictures: Pictures) -> Scores:
    parts = [run(pictures[start : start + _BATCH])[0] for start in range(0, len(pictures), _BATCH)]
    return np.concatenate(parts)


def _sight(
    name: Evidence, scores: Scores, normal: Scores, how: ShortTraining, before: Scores | None
) -> Sight:
    threshold = calibration(normal.tolist(), how.false_alarm_rate).threshold
    truth = np.arange(len(normal) + len(scores)) >= len(normal)
    value = auroc(np.concatenate([normal, scores]), truth)
    found = round(float((scores > threshold).mean()), 4)
    raised = None if before is None else raised_share(scores, before)
    return Sight(name, round(value, 4), found, len(scores), raised)


def _false_alarms(
    run: OnnxModel, blocks: Sequence[Pictures], normals: Sequence[Scores], rate: float
) -> tuple[float, float]:
    """Return the false alarms of each block at the other's threshold: clean, and the mean of mild shifts."""
    thresholds = [calibration(scores.tolist(), rate).threshold for scores in normals]
    clean = [float((normals[at] > thresholds[1 - at]).mean()) for at in (0, 1)]
    shifted = [
        float((_scores(run, corrupt(blocks[at], 1)) > thresholds[1 - at]).mean())
        for corrupt in CORRUPTIONS.values()
        for at in (0, 1)
    ]
    return round(float(np.mean(clean)), 4), round(float(np.mean(shifted)), 4)


@dataclass(frozen=True, slots=True)
class Withstood:
    """AUROC under a short attack of all pictures, under one that only hides defects, and proven."""

    attacked: float
    hidden: float
    proven: float | None


def _withstood(trained: Trained, normals: Pictures, defects: Pictures) -> Withstood:
    """Return what a short attack leaves of the AUROC of a few pictures, and what is proven of it."""
    pictures = np.concatenate([normals, defects])
    truth = np.arange(len(pictures)) >= len(normals)
    target = AttackTarget.of(trained.module, pictures, truth)
    after = target.scores(target.attacked(Pgd(EPSILON, ATTACK_STEPS)))
    hidden = target.by_side(target.scores(target.x), after).hide
    proven = certified_auroc(trained.module, target.x, truth, EPSILON)
    return Withstood(
        round(target.auroc(after), 4), round(hidden, 4), None if proven is None else round(proven, 4)
    )
