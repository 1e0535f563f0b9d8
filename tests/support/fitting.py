"""``python -m tests.support.fitting CHECKPOINTS OUT``: a small real training in a process of its own, to be
killed.
"""

import sys
from functools import cache
from pathlib import Path

import torch

from tests.support.parts import good_parts
from trainer.fit import FitSettings, Trained, make_pseudo_anomalies, train
from trainer.pseudo.entry import in_memory

STEPS = 50
SETTINGS = FitSettings(
    "cobra",
    profile="cpu",
    seed=3,
    steps=STEPS,
    overrides={"schedule.batch": 8, "schedule.attack_steps": 2, "shape.width": 8},
)


@cache
def uninterrupted() -> Trained:
    """Return the training that nothing stops; once a process, for all tests that read it."""
    return small_training(None)


def small_training(checkpoints: Path | None) -> Trained:
    """Train on made-up parts; seconds."""
    normals = good_parts(24)
    bank = in_memory(make_pseudo_anomalies(normals, SETTINGS))
    return train(normals, bank, SETTINGS, lambda step, total, message: None, checkpoints)


if __name__ == "__main__":
    torch.set_num_threads(1)
    Path(sys.argv[2]).write_bytes(small_training(Path(sys.argv[1])).weights())
