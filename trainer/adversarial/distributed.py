"""The processes that torchrun starts for one training, and the sums that they share.

Every process draws the whole batch and keeps its own pairs of it. Whatever a loss sums over the batch is
summed over all processes, so that losses and weights equal those of one process, but for the order of sums.
``torch.distributed`` knows the processes, and it alone reads the environment that torchrun sets. In a process
that runs alone each function is the identity.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.rendezvous import rendezvous
from typing_extensions import override

from steadyline.errors import InvalidConfiguration, Transient

# The others wait while process 0 makes the bank, or until the last pod has found its place. What hangs is
# ended by whoever watches the training.
PATIENCE = timedelta(hours=24)
# What torchrun has started has met already: a store that is not there has gone with its pod. torch tries it
# three times and pauses as long in between, so that a process ends within some three minutes.
MEETING = timedelta(seconds=30)


class ProcessLost(Transient):
    """Another process of the training has ended, or does not answer: the training starts again."""

    reason = "process_lost"


@contextmanager
def _together() -> Iterator[None]:
    """Translate what gloo and NCCL say when they do not reach another process: it is no bug of this one."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise ProcessLost(f"another process of the training does not answer: {error}") from error


def _add(value: Tensor) -> None:
    """Replace ``value`` by its sum over all processes."""
    with _together():
        distributed.all_reduce(value)


@contextmanager
def joined() -> Iterator[None]:
    """Join the processes that torchrun started, while inside the context; stay alone when it started none.

    CPU tensors are exchanged by gloo and GPU tensors by NCCL. Each process takes the GPU of its own number.
    """
    if not distributed.is_torchelastic_launched():
        yield
        return
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(distributed.get_node_local_rank())
        backend = "cpu:gloo,cuda:nccl"
    with _together():
        store, place, count = next(rendezvous("env://", timeout=MEETING))
        store.set_timeout(PATIENCE)
        distributed.init_process_group(backend, timeout=PATIENCE, store=store, rank=place, world_size=count)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def rank() -> int:
    """Return the number of this process, from 0. Process 0 alone writes checkpoints and packages."""
    return int(distributed.get_rank()) if distributed.is_initialized() else 0


def world() -> int:
    """Return how many processes share the training."""
    return int(distributed.get_world_size()) if distributed.is_initialized() else 1


def own(rows: Tensor, kinds: int = 2) -> Tensor:
    """Return this process's share of rows (kinds·n, …): n / world of each kind, so that pairs stay whole."""
    if world() == 1:
        return rows
    each = len(rows) // (kinds * world())
    return rows.reshape(kinds, world(), each, *rows.shape[1:])[:, rank()].flatten(0, 1)


def gathered(views: Tensor) -> Tensor:
    """Return (V, 2m, D) of all processes as (V, 2n, D), normals first; gradients flow back through it."""
    if world() == 1:
        return views
    slots = [views if place == rank() else torch.zeros_like(views) for place in range(world())]
    count, rows, size = views.shape
    every = summed(torch.stack(slots)).reshape(world(), count, 2, rows // 2, size)
    return every.permute(1, 2, 0, 3, 4).flatten(1, 3)


def summed(value: Tensor) -> Tensor:
    """Return the sum of ``value`` over all processes, differentiable."""
    if world() == 1:
        return value
    found: Tensor = _Sum.apply(value)
    return found


def mean(value: Tensor) -> Tensor:
    """Return the mean of ``value`` over all processes, differentiable."""
    return value if world() == 1 else summed(value) / world()


def told(word: str) -> str:
    """Return the word of process 0, in every process."""
    words = [word]
    if world() > 1:
        with _together():
            distributed.broadcast_object_list(words, src=0)
    return words[0]


def average_gradients(network: nn.Module) -> None:
    """Replace every gradient by its mean over the processes, in one message."""
    if world() == 1:
        return
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    _add(flat)
    flat /= world()
    parts = torch.split(flat, [gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def check_agreement(step: int, pairs: int) -> None:
    """Raise InvalidConfiguration when the processes cannot share this training.

    That is when they are at different steps, or when a batch of ``pairs`` cannot be split evenly.
    """
    if world() == 1:
        return
    if pairs % world():
        raise InvalidConfiguration(
            f"a batch of {pairs} pairs cannot be shared by {world()} processes: start a divisor of {pairs}"
        )
    total = int(summed(torch.tensor(step)))
    if total != step * world():
        raise InvalidConfiguration(
            f"process {rank()} would go on from step {step} and others from another: every process must see "
            "the same checkpoints, so --out has to be a folder that all of them share"
        )


class _Sum(torch.autograd.Function):
    """The gradient of a sum over processes is the sum of their gradients."""

    @staticmethod
    @override
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.detach().contiguous().clone()
        _add(total)
        return total

    @staticmethod
    @override
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        _add(total)
        return total


class RankNorm(nn.BatchNorm2d):
    """Batch normalisation over the rows of all processes; torch's SyncBatchNorm does this on GPUs only."""

    @override
    def forward(self, input: Tensor) -> Tensor:
        if not self.training or world() == 1:
            return super().forward(input)
        assert self.running_mean is not None
        assert self.running_var is not None
        rows = input.float()
        variance, middle = torch.var_mean(rows, (0, 2, 3), correction=0)
        middles, squares, variances = mean(torch.stack([middle, middle * middle, variance]))
        spread = variances + (squares - middles * middles).clamp(min=0)
        with torch.no_grad():
            count = world() * rows.numel() / rows.shape[1]
            assert self.momentum is not None
            self.running_mean.lerp_(middles, self.momentum)
            self.running_var.lerp_(spread * count / (count - 1), self.momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked += 1
        scale = self.weight * torch.rsqrt(spread + self.eps)
        shift = self.bias - middles * scale
        found: Tensor = rows * scale[:, None, None] + shift[:, None, None]
        return found.to(input.dtype)


def share_norms(network: nn.Module) -> None:
    """Make every batch normalisation of ``network`` take its statistics over all processes."""
    if world() == 1:
        return
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.BatchNorm2d:
                shared = RankNorm(child.num_features, child.eps, child.momentum)
                shared.load_state_dict(child.state_dict())
                setattr(module, name, shared)
