"""COBRA's contrastive loss (arXiv 2501.15434) over rows of embeddings, and the losses it is compared with.

Rows come in views of the same 2n anchors: n normals, then n pseudo-anomalies, the i-th made from the i-th
normal. Let s be the cosine over the temperature, and l_ij = log(sum over k != i of exp s_ik) - s_ij. COBRA
adds l over positive pairs (two views of one anchor) and subtracts it over opposite pairs (a normal and its
own pseudo-anomaly in the same clean view). With the positives averaged per anchor the logarithms cancel
exactly. What is left is s(opposite) - mean s(positives), and no other row has any gradient. This removes the
spurious negatives: the normals of different pictures that NT-Xent pushes apart.
"""

import torch
from torch import Tensor
from torch.nn import functional

from trainer.detectors.cobra.profile import Switch


def contrastive_loss(
    views: Tensor, clean: int, temperature: float, switch: Switch, kinds: Tensor | None = None
) -> Tensor:
    """Return the loss, a scalar. ``views`` is (V, 2n, D), V >= 2; the first ``clean`` views are not attacked.

    ``kinds`` (2n,) gives the class of each anchor for SupCon; by default the classes are normal and
    pseudo-anomaly.
    """
    rows = functional.normalize(views, dim=-1)
    if switch == "cls-only":
        return views.sum() * 0
    if switch == "mean":
        return _cancelled(rows, clean) / temperature
    count, anchors, _ = rows.shape
    same = same_anchor(count, anchors).to(rows.device)
    opposite = opposite_pairs(count, anchors, clean).to(rows.device)
    loss = _row_losses(rows.flatten(0, 1), temperature)
    if switch == "supcon":  # every row of the same kind is a positive (Khosla et al., NeurIPS 2020)
        return _per_anchor(loss, _same_kind(kinds, count, anchors).to(rows.device))
    if switch == "ntxent":
        return _per_anchor(loss, same)
    opposites = (loss * opposite).sum() / len(loss)
    return -opposites if switch == "opposite-only" else (loss * same).sum() / len(loss) - opposites


def same_anchor(views: int, anchors: int) -> Tensor:
    """Return (R, R) bool, R = views · anchors: True for two different views of one anchor."""
    index = torch.arange(anchors).repeat(views)
    return (index[:, None] == index) & ~torch.eye(len(index), dtype=torch.bool)


def opposite_pairs(views: int, anchors: int, clean: int) -> Tensor:
    """Return (R, R) bool: True for a normal and its own pseudo-anomaly in the same clean view."""
    index = torch.arange(anchors).repeat(views)
    view = torch.arange(views).repeat_interleave(anchors)
    paired = (index[:, None] - index).abs() == anchors // 2
    return paired & (view[:, None] == view) & (view < clean)


def _same_kind(kinds: Tensor | None, views: int, anchors: int) -> Tensor:
    kind = (torch.arange(anchors) < anchors // 2 if kinds is None else kinds).repeat(views)
    return (kind[:, None] == kind) & ~torch.eye(len(kind), dtype=torch.bool)


def _cancelled(rows: Tensor, clean: int) -> Tensor:
    """Return the mean form, without the logarithms that cancel; anchors are the rows with an opposite."""
    views = len(rows)
    anchors = rows[:clean]
    opposite = (anchors * anchors.roll(rows.shape[1] // 2, dims=1)).sum(-1)
    positive = torch.einsum("cnd,vnd->cn", anchors, rows) - 1  # minus the anchor's similarity to itself
    return (opposite - positive / (views - 1)).mean()


def _row_losses(rows: Tensor, temperature: float) -> Tensor:
    """Return l_ij of all pairs, (R, R)."""
    similarity = rows @ rows.T / temperature
    itself = torch.eye(len(rows), dtype=torch.bool, device=rows.device)
    return torch.logsumexp(similarity.masked_fill(itself, -torch.inf), 1, keepdim=True) - similarity


def _per_anchor(loss: Tensor, positives: Tensor) -> Tensor:
    return ((loss * positives).sum(1) / positives.sum(1)).mean()
