"""Where a defect is, clean and attacked: the map is pushed down on the defect and up elsewhere."""

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from bench.robustness.result_cache import ResultCache
from trainer.arrays import Masks
from trainer.evaluation.attacks import Pgd
from trainer.evaluation.evaluate import name_of
from trainer.evaluation.localisation import localisation
from trainer.evaluation.subject import AttackTarget

STEPS = 20


def attacked_localisation(
    subject: AttackTarget, masks: Masks, epsilons: tuple[float, ...], how: tuple[int, ResultCache]
) -> dict[str, Any]:
    """Return pixel AUROC, AUPRO and average precision, unattacked and by epsilon; ``masks`` is (N, S, S).

    ``how`` is the seed of the attack and where results are kept.
    """
    seed, kept = how
    truth = torch.from_numpy(masks)

    def attack(epsilon: float) -> dict[str, float]:
        hit = subject.maximise(
            Pgd(epsilon, STEPS, seed=seed),
            lambda x, places: map_gain(subject.module.score_float(x)[1], truth[places]),
        )
        return pixel_figures(subject, hit, masks)

    found: dict[str, Any] = {
        "pictures": len(masks),
        "unattacked": kept.value("map unattacked", lambda: pixel_figures(subject, subject.x, masks)),
    }
    for epsilon in epsilons:
        name = name_of(epsilon)
        found[name] = kept.value(f"map PGD-{STEPS} {name}", partial(attack, epsilon))
    return found


def map_gain(maps: Tensor, masks: Tensor) -> Tensor:
    """Return (B,): the mean of each map (B, h, w) off the defect minus its mean on it (masks (B, S, S))."""
    anomaly_map = _enlarged(maps, masks.shape[1])
    on = masks.float()
    off = 1 - on
    inside = (anomaly_map * on).sum((1, 2)) / on.sum((1, 2)).clamp(min=1)
    outside = (anomaly_map * off).sum((1, 2)) / off.sum((1, 2)).clamp(min=1)
    return outside - inside


def pixel_figures(subject: AttackTarget, x: Tensor, masks: Masks) -> dict[str, float]:
    """Return pixel AUROC, AUPRO and average precision of pictures (N, C, S, S) with masks (N, S, S)."""
    return localisation(subject.maps(x), masks).rounded()


def _enlarged(maps: Tensor, side: int) -> Tensor:
    return functional.interpolate(maps[:, None], size=(side, side), mode="bilinear")[:, 0]
