"""The explicit boundary and the semi-push-pull loss around it (BGAD, arXiv 2207.01463, eq. 5 to 9).

All log-densities are per dimension; ``l`` is a tenth of them, in which boundary and margin are given.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_TENTH = 0.1
# Beyond these a vector is not yet learned and weighs more; the factors make the weight 1 at the limits.
_NORMAL_LIMIT, _NORMAL_FACTOR = -0.2, 11.7
_ANOMALOUS_LIMIT, _ANOMALOUS_FACTOR = -1.0, 0.53


@dataclass(frozen=True, slots=True)
class Boundary:
    """``quantile`` of normals lie below the boundary; known defects belong ``margin`` below it.

    ``weight`` is that of the push-pull beside the likelihood's own loss.
    """

    quantile: float
    margin: float
    weight: float


def likelihood_loss(normal: Tensor) -> Tensor:
    """Return the focal maximum-likelihood loss of normals' log-densities (V,)."""
    return (-normal_weight(normal * _TENTH) * functional.logsigmoid(normal)).mean()


def push_pull(normal: Tensor, anomalous: Tensor, how: Boundary) -> Tensor:
    """Return the loss of log-densities (V,) and (A,) on the wrong side; those on the right side feel nothing.

    The boundary is the normals' own lower quantile, without gradient, so that no defect moves it.
    """
    normal, anomalous = normal * _TENTH, anomalous * _TENTH
    boundary = torch.quantile(normal.detach(), how.quantile)
    pulled = normal_weight(normal) * functional.relu(boundary - normal)
    pushed = anomalous_weight(anomalous) * functional.relu(anomalous - boundary + how.margin)
    return _mean_of_violators(pulled) + _mean_of_violators(pushed)


def normal_weight(tenths: Tensor) -> Tensor:
    """Return the focal weight of normals: 1, and more the less likely they are."""
    found = tenths.detach().clamp(max=_NORMAL_LIMIT)
    weight = _NORMAL_FACTOR * (1 - found.exp()).sqrt() * found.abs()
    return torch.where(tenths > _NORMAL_LIMIT, torch.ones_like(weight), weight)


def anomalous_weight(tenths: Tensor) -> Tensor:
    """Return the focal weight of known defects: 1, and more the more likely they are.

    A density above exp(-.05) would weigh without bound; beyond it the weight stays.
    """
    found = tenths.detach().clamp(_ANOMALOUS_LIMIT, -0.05)
    weight = _ANOMALOUS_FACTOR * (1 + found.exp()).square() / found.abs()
    return torch.where(tenths <= _ANOMALOUS_LIMIT, torch.ones_like(weight), weight)


def _mean_of_violators(losses: Tensor) -> Tensor:
    """Return the mean over the losses that are not zero; zero when all are (the paper's code gives NaN)."""
    return losses.sum() / (losses > 0).sum().clamp(min=1)
