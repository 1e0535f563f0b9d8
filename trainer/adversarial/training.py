"""The training itself: pairs, one step of the optimizer, the average, the guard, checkpoints."""

from dataclasses import dataclass

import torch

from trainer.adversarial import ranks
from trainer.adversarial.batch import Pairs, Variation
from trainer.adversarial.course import Course, device_of
from trainer.adversarial.fold import folded
from trainer.adversarial.guard import SLACK, Guard
from trainer.adversarial.network import CellNetwork
from trainer.adversarial.objective import Objective
from trainer.adversarial.optimizer import make_optimizer
from trainer.detector_protocol import FitInput, Progress, Served
from trainer.learning.checkpoint import Checkpoints
from trainer.learning.precision import mixed, scaler
from trainer.learning.state import State

CHECKPOINT_EVERY = 40  # steps; about 20 s on one core, of which writing 7 MB is a hundredth


@dataclass(frozen=True, slots=True)
class Plan:
    """How it is trained, and for how long. ``picks`` cells of a pair are drawn where the defect is."""

    course: Course
    variation: Variation
    steps: int
    seed: int
    picks: int = 1


class Training:
    """One training. ``run`` goes on from wherever ``state`` is.

    Under torchrun it is one of the processes that share it: each has its pairs of every batch, they add up
    their gradients, and the losses are those of one process (see ``ranks``).
    """

    def __init__(self, given: FitInput, plan: Plan, network: CellNetwork, objective: Objective) -> None:
        normals = torch.from_numpy(given.normals).permute(0, 3, 1, 2).float() / 255
        self._plan, self._course, self._objective = plan, plan.course, objective
        grid = folded(network).grid(normals.shape[1], normals.shape[3])
        ranks.share_norms(network)
        self._device = device_of(plan.course)
        self._network = network.to(self._device).to(memory_format=torch.channels_last)
        scaled = scaler(plan.course.mixed, self._device)
        self.state = State.start(self._network, make_optimizer(plan.course, self._network), scaled)
        self._guard = Guard(normals, given.bank, plan.seed)
        self._pairs = Pairs(normals, self._guard.rest_of_bank(), grid, plan.variation)

    def run(self, checkpoints: Checkpoints | None, progress: Progress) -> Served:
        """Train to the end and return the served module, on the CPU; resumes from the newest checkpoint.

        Raises InvalidConfiguration when the processes of a shared training do not fit together.
        """
        state, steps = self.state, self._plan.steps
        found = checkpoints.newest() if checkpoints is not None else None
        if found is not None:
            state.resume(found)
        ranks.check_agreement(state.step, self._pairs.size(self._course.batch))
        while state.step < steps:
            loss = self.step()
            if self._guard.is_due(state.step, steps):
                state.losses.append(loss)
                state.keep_best(self._guard.figure(self._objective.served(state.average)), SLACK)
            progress(state.step, steps, self._message(loss))
            due = state.step % CHECKPOINT_EVERY == 0 or state.step == steps
            if checkpoints is not None and due and ranks.rank() == 0:
                checkpoints.write(state.checkpoint())
        state.average.load_state_dict(state.best)
        return self._objective.served(state.average).cpu()

    def step(self) -> float:
        """Train one step; returns its loss, over all processes."""
        plan, course, state = self._plan, self._course, self.state
        rate = course.rate_at(state.step, plan.steps)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        batch = self._pairs.draw(plan.seed, state.step, course.batch, plan.picks).own(self._device)
        random = torch.Generator().manual_seed((plan.seed << 32) + state.step)
        size = course.epsilon_at(state.step, plan.steps)
        with mixed(course.mixed, self._device):
            loss = self._objective.loss(self._network, batch, size, random)
        state.descend(loss, ranks.average_gradients)
        state.follow(course.average)
        state.step += 1
        return float(ranks.mean(loss.detach()))

    def _message(self, loss: float) -> str:
        guarded = self.state.guarded
        return f"loss {loss:.3f}" + (f", guard {guarded[-1]:.3f}" if guarded else "")

    def figures(self) -> dict[str, float]:
        """Return label-free figures of the training."""
        return {
            "guard_auroc": max(self.state.guarded),
            "guard_last_auroc": self.state.guarded[-1],
            "last_loss": self.state.losses[-1],
            "steps": float(self._plan.steps),
        }
