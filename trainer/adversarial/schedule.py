"""The numbers of an adversarial training that do not depend on the objective, and how they change over it."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch

from trainer.learning.precision import CPU, is_native


@dataclass(frozen=True, slots=True)
class TrainingSchedule:
    """``batch`` counts normals; each brings one pseudo-anomaly made from it.

    ``epsilon`` is the size of the training attack, reached after the fraction ``epsilon_warm_up`` of the run.
    ``average`` is the share that the moving average of the weights keeps per step (0 serves the last
    weights). ``mixed`` computes products in 16 bits where the device can. ``device`` "cuda" uses a GPU where
    there is one.
    """

    epsilon: float
    attack_steps: int
    epsilon_warm_up: float
    batch: int
    steps: int
    optimizer: Literal["adamw", "lars"]
    learning_rate: float
    weight_decay: float
    warm_up: float
    average: float
    mixed: bool
    device: Literal["cpu", "cuda"] = "cpu"

    def rate_at(self, step: int, steps: int) -> float:
        """Return the learning rate of a step: a linear warm-up, then half a cosine to nearly zero."""
        done = step / steps
        if done < self.warm_up:
            return self.learning_rate * done / self.warm_up + 1e-6
        left = (done - self.warm_up) / (1 - self.warm_up)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * left)) + 1e-6

    def epsilon_at(self, step: int, steps: int) -> float:
        """Return the size of the training attack, which grows linearly during its warm-up."""
        if not self.epsilon_warm_up:
            return self.epsilon
        return self.epsilon * min(1.0, step / (steps * self.epsilon_warm_up))


def here(schedule: TrainingSchedule) -> TrainingSchedule:
    """Return the schedule as this machine can run it: with or without a GPU and mixed precision."""
    device: Literal["cpu", "cuda"] = schedule.device if torch.cuda.is_available() else "cpu"
    return replace(schedule, device=device, mixed=schedule.mixed and (device == "cuda" or is_native()))


def device_of(schedule: TrainingSchedule) -> torch.device:
    """Return the device of a schedule that ``here`` returned: the CPU, or the process's own GPU."""
    return CPU if schedule.device == "cpu" else torch.device("cuda", torch.cuda.current_device())


# Takes minutes on two cores. All detectors that are trained under attack on a CPU start from it.
CPU_SCHEDULE = TrainingSchedule(
    epsilon=6 / 255,
    attack_steps=4,
    epsilon_warm_up=0.3,
    batch=32,
    steps=1000,
    optimizer="adamw",
    learning_rate=2e-3,
    weight_decay=1e-3,
    warm_up=0.1,
    average=0.995,
    mixed=True,
)
