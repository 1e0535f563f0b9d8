"""DAF's losses: disagreement on normal cells, and the decoder's cross-entropy on the hardest negatives."""

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from trainer.detectors.daf.discrepancy import Agreement


def distillation_loss(stages: Sequence[Agreement], mask: Tensor) -> Tensor:
    """Return the sum over stages of 1 - cosine and 1 - SSIM, each averaged over normal cells alone.

    Cells that touch a defect in ``mask`` (B, H, W) are left out. Without any normal cell the loss is 0.
    """
    total = mask.new_zeros(())
    for stage in stages:
        normal = 1 - covered(mask, stage.cosine.shape[2:])[:, None]
        count = normal.sum().clamp(min=1)
        apart = (1 - stage.cosine) + (1 - stage.structure).mean(1, keepdim=True)
        total = total + (apart * normal).sum() / count
    return total


def decoder_loss(anomaly_map: Tensor, auxiliary: Sequence[Tensor], mask: Tensor, negatives: int) -> Tensor:
    """Return the balanced cross-entropy of the map's logits (B, h, w) plus that of each auxiliary head.

    The map is compared at the size of ``mask`` (B, H, W), and the auxiliary logits (B, h_i, w_i) at their
    own.
    """
    total = hard_cross_entropy(enlarged(anomaly_map, mask.shape[1:]), mask, negatives)
    for found in auxiliary:
        total = total + hard_cross_entropy(found, covered(mask, found.shape[1:]), negatives)
    return total


def hard_cross_entropy(logits: Tensor, truth: Tensor, negatives: int) -> Tensor:
    """Return the cross-entropy of defective pixels and of ``negatives`` times as many of the hardest others.

    ``logits`` and ``truth`` are (B, h, w). Errors are averaged per picture, so that each defect weighs alike;
    otherwise one large defect would hide ten small ones. Without a defect one pixel in a hundred counts.
    """
    errors = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    area = truth.sum((1, 2))
    own = (errors * truth).sum((1, 2)) / area.clamp(min=1)
    positive = own.sum() / (area > 0).sum().clamp(min=1)
    others = errors[truth == 0]
    wanted = negatives * int(area.sum()) or max(1, len(others) // 100)
    negative = others.topk(min(wanted, len(others))).values.mean() if len(others) else errors.new_zeros(())
    return (positive + negatives * negative) / (1 + negatives)


def covered(mask: Tensor, size: Sequence[int]) -> Tensor:
    """Return (B, *size): 1 where a cell touches the mask (B, H, W)."""
    return functional.adaptive_max_pool2d(mask[:, None], tuple(size))[:, 0]


def enlarged(logits: Tensor, size: Sequence[int]) -> Tensor:
    """Resize (B, h, w) bilinearly to (B, *size)."""
    return functional.interpolate(logits[:, None], size=tuple(size), mode="bilinear", align_corners=False)[
        :, 0
    ]
