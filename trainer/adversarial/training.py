"""Train under attack: pairs, optimizer steps, the moving average, model selection, checkpoints."""

from dataclasses import dataclass

import torch

from trainer.adversarial import distributed
from trainer.adversarial.batch import Pairs, Variation
from trainer.adversarial.fuse_batchnorm import folded
from trainer.adversarial.model_selection import SLACK, ModelSelection
from trainer.adversarial.network import CellNetwork
from trainer.adversarial.objective import TrainingObjective
from trainer.adversarial.optimizer import make_optimizer
from trainer.adversarial.schedule import TrainingSchedule, device_of
from trainer.detector_protocol import FitInput, OnProgress, Served
from trainer.learning.checkpoint import Checkpoints
from trainer.learning.precision import mixed, scaler
from trainer.learning.state import State

CHECKPOINT_EVERY = 40  # steps, which take about 20 s on one core; writing 7 MB is a hundredth of that


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How to train, and for how long; ``picks`` cells of each pair are drawn where the defect is."""

    schedule: TrainingSchedule
    variation: Variation
    steps: int
    seed: int
    picks: int = 1


class AdversarialTraining:
    """One training. ``run`` resumes from the newest checkpoint.

    Under torchrun several processes share it: each has its own pairs of every batch, they add up their
    gradients, and the losses equal those of one process (see ``distributed``).
    """

    def __init__(
        self, given: FitInput, plan: TrainingPlan, network: CellNetwork, objective: TrainingObjective
    ) -> None:
        normals = torch.from_numpy(given.normals).permute(0, 3, 1, 2).float() / 255
        self._plan, self._schedule, self._objective = plan, plan.schedule, objective
        grid = folded(network).grid(normals.shape[1], normals.shape[3])
        distributed.share_norms(network)
        self._device = device_of(plan.schedule)
        self._network = network.to(self._device).to(memory_format=torch.channels_last)
        scaled = scaler(plan.schedule.mixed, self._device)
        self.state = State.start(self._network, make_optimizer(plan.schedule, self._network), scaled)
        self._selection = ModelSelection(normals, given.bank, plan.seed)
        self._pairs = Pairs(normals, self._selection.rest_of_bank(), grid, plan.variation)

    def run(self, checkpoints: Checkpoints | None, progress: OnProgress) -> Served:
        """Train to the end and return the served module, on the CPU.

        Raises InvalidConfiguration when the processes of a shared training do not fit together.
        """
        state, steps = self.state, self._plan.steps
        found = checkpoints.newest() if checkpoints is not None else None
        if found is not None:
            state.resume(found)
        distributed.check_agreement(state.step, self._pairs.size(self._schedule.batch))
        while state.step < steps:
            loss = self.step()
            if self._selection.is_due(state.step, steps):
                state.losses.append(loss)
                state.keep_best(self._selection.figure(self._objective.served(state.average)), SLACK)
            progress(state.step, steps, self._message(loss))
            due = state.step % CHECKPOINT_EVERY == 0 or state.step == steps
            if checkpoints is not None and due and distributed.rank() == 0:
                checkpoints.write(state.checkpoint())
        state.average.load_state_dict(state.best)
        return self._objective.served(state.average).cpu()

    def step(self) -> float:
        """Train one step and return its loss over all processes."""
        plan, schedule, state = self._plan, self._schedule, self.state
        rate = schedule.rate_at(state.step, plan.steps)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        batch = self._pairs.draw(plan.seed, state.step, schedule.batch, plan.picks).own(self._device)
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
