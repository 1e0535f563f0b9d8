"""The optimizers of the profiles, and the course of learning rate and attack over a run."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from typing_extensions import override

from trainer.detectors.cobra.profile import Profile

_TRUST = 1e-3
_MOMENTUM = 0.9


class Lars(torch.optim.Optimizer):
    """SGD with momentum, each layer's step scaled by |weights| / |gradient| (You et al., arXiv 1708.03888).

    Biases and normalisation take plain steps without decay, as is usual in contrastive training.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], learning_rate: float, decay: float) -> None:
        super().__init__(parameters, {"lr": learning_rate, "weight_decay": decay})

    @override
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, group["lr"], group["weight_decay"])

    def _move(self, parameter: nn.Parameter, rate: float, decay: float) -> None:
        assert parameter.grad is not None
        gradient = parameter.grad
        if parameter.ndim > 1:
            gradient = gradient + decay * parameter
            length, slope = parameter.norm(), gradient.norm()
            trust = _TRUST * length / slope.clamp(min=1e-12)
            gradient = gradient * torch.where((length > 0) & (slope > 0), trust, torch.ones(()))
        state: dict[str, Any] = self.state[parameter]
        momentum = state.setdefault("momentum", torch.zeros_like(parameter))
        momentum.mul_(_MOMENTUM).add_(gradient, alpha=rate)
        parameter.sub_(momentum)


def make_optimizer(profile: Profile, network: nn.Module) -> torch.optim.Optimizer:
    """Return the profile's optimizer over the network's parameters."""
    if profile.optimizer == "lars":
        return Lars(network.parameters(), profile.learning_rate, profile.weight_decay)
    return torch.optim.AdamW(
        network.parameters(), profile.learning_rate, weight_decay=profile.weight_decay, fused=True
    )


def learning_rate(profile: Profile, step: int, steps: int) -> float:
    """Return the rate of a step: a linear warm-up, then half a cosine to nearly nothing."""
    done = step / steps
    if done < profile.warm_up:
        return profile.learning_rate * done / profile.warm_up + 1e-6
    left = (done - profile.warm_up) / (1 - profile.warm_up)
    return profile.learning_rate * 0.5 * (1 + math.cos(math.pi * left)) + 1e-6


def epsilon(profile: Profile, step: int, steps: int) -> float:
    """Return the size of the training attack, which grows linearly during its warm-up."""
    if not profile.epsilon_warm_up:
        return profile.epsilon
    return profile.epsilon * min(1.0, step / (steps * profile.epsilon_warm_up))
