"""The state of a training between two steps, which can be written to a checkpoint and read back."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from trainer.learning.checkpoint import Checkpoint
from trainer.learning.precision import scaler as unscaled

GRADIENT_NORM = 5.0


@dataclass(slots=True)
class State:
    """``average`` is the moving average of ``network``; ``best`` is the average with the best evaluation.

    Random numbers need no state: each step draws them from the seed and its own number.
    """

    network: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    step: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)
    guarded: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    @staticmethod
    def start(
        network: nn.Module, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler | None = None
    ) -> "State":
        """Return the state before the first step."""
        average = copy.deepcopy(network).eval()
        for parameter in average.parameters():
            parameter.requires_grad_(False)
        return State(network, average, optimizer, unscaled() if scaler is None else scaler)

    def descend(self, loss: Tensor, share: Callable[[nn.Module], None] | None = None) -> None:
        """Take an optimizer step with the gradient's norm clipped; ``share`` may change gradients before."""
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if share is not None:
            share(self.network)
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.network.parameters(), GRADIENT_NORM)
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def follow(self, decay: float) -> None:
        """Move the average a little towards the network, and faster in the first steps."""
        decay = min(decay, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            for mean, value in zip(_tensors(self.average), _tensors(self.network), strict=True):
                if mean.is_floating_point():
                    mean.lerp_(value, 1 - decay)
                else:
                    mean.copy_(value)

    def keep_best(self, figure: float, slack: float) -> None:
        """Keep the average when ``figure`` is at most ``slack`` below the best one so far."""
        if not self.guarded or figure >= max(self.guarded) - slack:
            self.best = {name: tensor.clone() for name, tensor in self.average.state_dict().items()}
        self.guarded.append(figure)

    def checkpoint(self) -> Checkpoint:
        """Return everything that the rest of the training depends on."""
        tensors = _prefixed("network", self.network.state_dict())
        tensors |= _prefixed("average", self.average.state_dict())
        tensors |= _prefixed("best", self.best)
        for index, values in self.optimizer.state_dict()["state"].items():
            tensors |= _prefixed(f"optimizer.{index}", values)
        scaler: dict[str, float] = self.scaler.state_dict()
        scaled = {f"scaler.{name}": value for name, value in scaler.items()}
        return Checkpoint(self.step, tensors, {"guarded": self.guarded, "losses": self.losses, **scaled})

    def resume(self, found: Checkpoint) -> None:
        """Load the state of a checkpoint."""
        self.network.load_state_dict(_of("network", found.tensors))
        self.average.load_state_dict(_of("average", found.tensors))
        self.best = _of("best", found.tensors)
        whole = self.optimizer.state_dict()
        whole["state"] = {
            index: {name: _laid_out_as(parameter, value) for name, value in values.items()}
            for index, parameter in enumerate(self.network.parameters())
            if (values := _of(f"optimizer.{index}", found.tensors))
        }
        self.optimizer.load_state_dict(whole)
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(_of_notes("scaler.", found))
        self.step = found.step
        self.guarded, self.losses = _numbers(found, "guarded"), _numbers(found, "losses")


def is_judged(step: int, steps: int, first: float, every: float) -> bool:
    """Tell whether a state is evaluated: after the last step, and each ``every`` of the run from ``first``.

    Both are shares of ``steps``.
    """
    if step == steps:
        return True
    start = round(steps * first)
    return step >= start and (step - start) % max(1, round(steps * every)) == 0


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    """Return ``value`` with the parameter's strides: the fused optimizer walks both in memory order."""
    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def _of(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def _of_notes(start: str, found: Checkpoint) -> dict[str, object]:
    return {name.removeprefix(start): note for name, note in found.notes.items() if name.startswith(start)}


def _numbers(found: Checkpoint, name: str) -> list[float]:
    values = found.notes[name]
    return [float(value) for value in values] if isinstance(values, list) else []
