"""The explicit boundary and the semi-push-pull loss around it (BGAD, arXiv 2207.01463, eq. 5 to 9).

All log-densities are per dimension. Boundary and margin apply to a tenth of them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_TENTH = 0.1
# A vector beyond its limit is not learned yet and weighs more. The factors make the weight 1 at the limits.
_NORMAL_LIMIT, _NORMAL_FACTOR = -0.2, 11.7
_ANOMALOUS_LIMIT, _ANOMALOUS_FACTOR = -1.0, 0.53


@dataclass(frozen=True, slots=True)
class Boundary:
    """The share ``quantile`` of normals lies below the boundary; known defects belong ``margin`` below it.

    ``weight`` multiplies the push-pull loss, which is added to the likelihood loss.
    """

    quantile: float
    margin: float
    weight: float


def likelihood_loss(normal: Tensor) -> Tensor:
    """Return the focal maximum-likelihood loss of normals' log-densities (V,)."""
    return (-normal_weight(normal * _TENTH) * functional.logsigmoid(normal)).mean()


def push_pull(normal: Tensor, anomalous: Tensor, how: Boundary) -> Tensor:
    """Return the loss of normals (V,) and anomalies (A,) whose log-density is beyond the boundary.

    Vectors on the right side get no gradient. The boundary is the lower quantile of the normals themselves,
    taken without gradient, so that no defect moves it.
    """
    normal, anomalous = normal * _TENTH, anomalous * _TENTH
    boundary = torch.quantile(normal.detach(), how.quantile)
    pulled = normal_weight(normal) * functional.relu(boundary - normal)
    pushed = anomalous_weight(anomalous) * functional.relu(anomalous - boundary + how.margin)
    return _mean_of_violators(pulled) + _mean_of_violators(pushed)


def normal_weight(tenths: Tensor) -> Tensor:
    """Return the focal weight of normals: 1, or more for those that are less likely."""
    found = tenths.detach().clamp(max=_NORMAL_LIMIT)
    weight = _NORMAL_FACTOR * (1 - found.exp()).sqrt() * found.abs()
    return torch.where(tenths > _NORMAL_LIMIT, torch.ones_like(weight), weight)


def anomalous_weight(tenths: Tensor) -> Tensor:
    """Return the focal weight of known defects: 1, or more for those that are more likely.

    The weight would grow without bound for densities above exp(-.05); beyond that it stays constant.
    """
    found = tenths.detach().clamp(_ANOMALOUS_LIMIT, -0.05)
    weight = _ANOMALOUS_FACTOR * (1 + found.exp()).square() / found.abs()
    return torch.where(tenths <= _ANOMALOUS_LIMIT, torch.ones_like(weight), weight)


def _mean_of_violators(losses: Tensor) -> Tensor:
    """Return the mean over the losses that are not zero; zero when all are (the paper's code gives NaN)."""
    return losses.sum() / (losses > 0).sum().clamp(min=1)
