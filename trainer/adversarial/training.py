"""Train under attack: pairs, optimizer steps, the moving average, model selection, checkpoints."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trainer.adversarial import distributed
from trainer.adversarial.batch import Batches, Pairs, Variation
from trainer.adversarial.fuse_batchnorm import folded
from trainer.adversarial.model_selection import SLACK, ModelSelection, as_floats, held_out
from trainer.adversarial.network import CellNetwork
from trainer.adversarial.objective import TrainingObjective
from trainer.adversarial.optimizer import make_optimizer
from trainer.adversarial.schedule import TrainingSchedule, device_of
from trainer.detector_protocol import FitInput, OnProgress, Served
from trainer.learning.checkpoint import Checkpoint, Checkpoints
from trainer.learning.precision import mixed, scaler
from trainer.learning.state import State

CHECKPOINT_EVERY = 40  # steps, which take about 20 s on one core; writing 7 MB is a hundredth of that
_LEARNED = "batches/"  # before the names, in a checkpoint, of what the batches have learned


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How to train, and for how long; ``picks`` cells of each pair are drawn where the defect is."""

    schedule: TrainingSchedule
    steps: int
    seed: int
    picks: int = 1


@dataclass(frozen=True, slots=True)
class Material:
    """What is trained on, and what judges the training."""

    batches: Batches
    selection: ModelSelection


def whole_pictures(given: FitInput, network: CellNetwork, variation: Variation) -> Material:
    """Return the material of a training on whole pictures, each beside a pseudo-anomaly made from it."""
    normals = as_floats(given.normals)
    grid = folded(network).grid(*normals.shape[1:])
    selection, bank = held_out(normals, given.bank, given.seed)
    return Material(Pairs(normals, bank, grid, variation), selection)


class AdversarialTraining:
    """One training. ``run`` resumes from the newest checkpoint.

    Under torchrun several processes share it: each has its own pairs of every batch, they add up their
    gradients, and the losses equal those of one process (see ``distributed``).
    """

    def __init__(
        self, material: Material, plan: TrainingPlan, network: CellNetwork, objective: TrainingObjective
    ) -> None:
        self._plan, self._schedule, self._objective = plan, plan.schedule, objective
        self._selection, self._batches = material.selection, material.batches
        distributed.share_norms(network)
        self._device = device_of(plan.schedule)
        self._network = network.to(self._device).to(memory_format=torch.channels_last)
        scaled = scaler(plan.schedule.mixed, self._device)
        self.state = State.start(self._network, make_optimizer(plan.schedule, self._network), scaled)

    def run(self, checkpoints: Checkpoints | None, progress: OnProgress) -> Served:
        """Train to the end and return the served module, on the CPU.

        Raises InvalidConfiguration when the processes of a shared training do not fit together.
        """
        state, steps = self.state, self._plan.steps
        found = checkpoints.newest() if checkpoints is not None else None
        if found is not None:
            state.resume(found)
            self._batches.resume(_learned_of(found))
        distributed.check_agreement(state.step, self._batches.size(self._schedule.batch))
        while state.step < steps:
            loss = self.step()
            if self._selection.is_due(state.step, steps):
                state.losses.append(loss)
                state.keep_best(self._selection.figure(self._objective.served(state.average)), SLACK)
            self._batches.learn(state.average, state.step, steps)
            progress(state.step, steps, self._message(loss))
            due = state.step % CHECKPOINT_EVERY == 0 or state.step == steps
            if checkpoints is not None and due and distributed.rank() == 0:
                checkpoints.write(_with_learned(state.checkpoint(), self._batches.kept()))
        state.average.load_state_dict(state.best)
        return self._objective.served(state.average).cpu()

    def step(self) -> float:
        """Train one step and return its loss over all processes."""
        plan, schedule, state = self._plan, self._schedule, self.state
        rate = schedule.rate_at(state.step, plan.steps)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        batch = self._batches.draw(plan.seed, state.step, schedule.batch, plan.picks).own(self._device)
        random = torch.Generator().manual_seed((plan.seed << 32) + state.step)
        size = schedule.epsilon_at(state.step, plan.steps)
        with mixed(schedule.mixed, self._device):
            loss = self._objective.loss(self._network, batch, size, random)
        state.descend(loss, distributed.average_gradients)
        state.follow(schedule.average)
        state.step += 1
        return float(distributed.mean(loss.detach()))

    def _message(self, loss: float) -> str:
        guarded = self.state.guarded
        return f"loss {loss:.3f}" + (f", guard {guarded[-1]:.3f}" if guarded else "")

    def figures(self) -> dict[str, float]:
        """Return the figures of the training; they need no labels."""
        return {
            "guard_auroc": max(self.state.guarded),
            "guard_last_auroc": self.state.guarded[-1],
            "last_loss": self.state.losses[-1],
            "steps": float(self._plan.steps),
        }


def _with_learned(checkpoint: Checkpoint, learned: Mapping[str, Tensor]) -> Checkpoint:
    """Return the checkpoint with what the batches have learned beside the state."""
    own = {f"{_LEARNED}{name}": tensor for name, tensor in learned.items()}
    return replace(checkpoint, tensors={**checkpoint.tensors, **own})


def _learned_of(found: Checkpoint) -> dict[str, Tensor]:
    return {
        name.removeprefix(_LEARNED): tensor
        for name, tensor in found.tensors.items()
        if name.startswith(_LEARNED)
    }
