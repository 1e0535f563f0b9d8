"""The optimizers that profiles can name."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from typing_extensions import override

from trainer.adversarial.schedule import TrainingSchedule

_TRUST = 1e-3
_MOMENTUM = 0.9


class Lars(torch.optim.Optimizer):
    """SGD with momentum; |weights| / |gradient| scales each layer's step (You et al., arXiv 1708.03888).

    Biases and normalisation take plain steps without decay, as is usual in contrastive training.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], learning_rate: float, decay: float) -> None:
        super().__init__(parameters, {"lr": learning_rate, "weight_decay": decay})

    @override
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
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
            gradient = gradient * torch.where((length > 0) & (slope > 0), trust, torch.ones_like(trust))
        state: dict[str, Any] = self.state[parameter]
        momentum = state.setdefault("momentum", torch.zeros_like(parameter))
        momentum.mul_(_MOMENTUM).add_(gradient, alpha=rate)
        parameter.sub_(momentum)


def make_optimizer(schedule: TrainingSchedule, network: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer of the schedule over the network's parameters."""
    if schedule.optimizer == "lars":
        return Lars(network.parameters(), schedule.learning_rate, schedule.weight_decay)
    return torch.optim.AdamW(
        network.parameters(), schedule.learning_rate, weight_decay=schedule.weight_decay, fused=True
    )
