"""An attack on the map: it is pushed down on the defect and up elsewhere."""

import torch
from torch import Tensor
from torch.nn import functional

from trainer.arrays import Masks
from trainer.evaluation.attacks import Attack
from trainer.evaluation.subject import AttackTarget


def attack_map(target: AttackTarget, masks: Masks, attack: Attack) -> Tensor:
    """Return the pictures (N, C, H, W) changed so that their maps point off the defects in ``masks``.

    ``masks`` is (N, H, W).
    """
    truth = torch.from_numpy(masks)
    return target.maximise(attack, lambda x, places: map_gain(target.module.score_float(x)[1], truth[places]))


def map_gain(maps: Tensor, masks: Tensor) -> Tensor:
    """Return (B,): the mean of each map (B, h, w) off the defect minus its mean on it (masks (B, H, W))."""
    anomaly_map = functional.interpolate(maps[:, None], size=masks.shape[1:], mode="bilinear")[:, 0]
    on = masks.float()
    off = 1 - on
    inside = (anomaly_map * on).sum((1, 2)) / on.sum((1, 2)).clamp(min=1)
    outside = (anomaly_map * off).sum((1, 2)) / off.sum((1, 2)).clamp(min=1)
    return outside - inside
