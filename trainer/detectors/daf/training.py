"""Train DAF: optimizer steps, the moving average of the weights, evaluation, checkpoints."""

import torch

from trainer.detector_protocol import FitInput, OnProgress
from trainer.detectors.daf.batch import Draws, as_floats
from trainer.detectors.daf.judge import SLACK, Judge
from trainer.detectors.daf.loss import decoder_loss, distillation_loss
from trainer.detectors.daf.network import Learner, Teacher
from trainer.detectors.daf.profile import DafProfile
from trainer.detectors.daf.served import DafServed
from trainer.learning.checkpoint import Checkpoints
from trainer.learning.precision import mixed, scaler
from trainer.learning.state import State
from trainer.learning.vary import views

CHECKPOINT_EVERY = 100  # steps, which take about 25 s on one core
_BATCH = 32


class DafTraining:
    """One training. ``run`` resumes from the newest checkpoint."""

    def __init__(self, given: FitInput, profile: DafProfile, networks: tuple[Teacher, Learner]) -> None:
        normals = as_floats(given.normals)
        self._given, self._profile = given, profile
        self._size = (normals.shape[2], normals.shape[3])
        self._teacher, learner = networks
        seen = views(given.normals, profile.vary, given.seed, _BATCH)
        self._teacher.fit(as_floats(part) for part, _ in seen)
        self._learner = learner.to(memory_format=torch.channels_last)
        self.state = State.start(self._learner, _optimizer(profile, self._learner), scaler())
        self._judge = Judge(normals, given.bank, given.seed)
        self._draws = Draws(given, self._judge.rest, profile)
        self._steps = profile.schedule.steps

    def run(self, checkpoints: Checkpoints | None, progress: OnProgress) -> DafServed:
        """Train to the end and return the served module."""
        state, steps = self.state, self._steps
        found = checkpoints.newest() if checkpoints is not None else None
        if found is not None:
            state.resume(found)
        while state.step < steps:
            loss = self._step()
            state.step += 1
            if self._judge.is_due(state.step, steps):
                state.losses.append(loss)
                state.keep_best(self._judge.figure(self._served()), SLACK)
            progress(state.step, steps, self._message(loss))
            if checkpoints is not None and (state.step % CHECKPOINT_EVERY == 0 or state.step == steps):
                checkpoints.write(state.checkpoint())
        state.average.load_state_dict(state.best)
        return self._served()

    def _step(self) -> float:
        schedule, state, profile = self._profile.schedule, self.state, self._profile
        for group in state.optimizer.param_groups:
            group["lr"] = schedule.rate_at(state.step, self._steps)
        batch = self._draws.draw(self._given.seed, state.step, schedule)
        with mixed(schedule.mixed):
            with torch.no_grad():
                stages = self._teacher(batch.seen)
                due = self._teacher(batch.clean) if schedule.teacher_sees == "clean" else stages
            found = self._learner(due, batch.seen, stages)
        loss = distillation_loss(found.stages, batch.mask)
        loss = loss + decoder_loss(found.anomaly_map, found.auxiliary, batch.mask, profile.negatives)
        state.descend(loss)
        state.follow(schedule.average)
        return float(loss.detach())

    def _served(self) -> DafServed:
        average = self.state.average
        assert isinstance(average, Learner)
        return DafServed(self._teacher, average, self._profile.scoring, self._size).eval()

    def _message(self, loss: float) -> str:
        judged = self.state.guarded
        return f"loss {loss:.3f}" + (f", synthetic AP {judged[-1]:.3f}" if judged else "")

    def figures(self) -> dict[str, float]:
        """Return the figures of the training; they need no labels."""
        return {
            "synthetic_ap": max(self.state.guarded),
            "synthetic_last_ap": self.state.guarded[-1],
            "last_loss": self.state.losses[-1],
            "steps": float(self._steps),
        }


def _optimizer(profile: DafProfile, learner: Learner) -> torch.optim.Optimizer:
    schedule = profile.schedule
    return torch.optim.AdamW(
        learner.parameters(), schedule.learning_rate, weight_decay=schedule.weight_decay, fused=True
    )
