"""Every number of a robust training, by profile; the code is the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from trainer.adversarial.augment import Light
from trainer.adversarial.course import Course
from trainer.adversarial.network import Shape
from trainer.detectors.profiles import named
from trainer.pseudo.kinds import LOCAL_BANK
from trainer.pseudo.recipe import BankRecipe


@dataclass(frozen=True, slots=True)
class Weights:
    """What the cells' loss weighs beside the picture's, and clean rows beside attacked ones."""

    cells: float
    clean: float
    attacked: float


@dataclass(frozen=True, slots=True)
class Profile:
    """One recipe.

    The served map is the mean over so many ``flips`` of the picture (1, 2 or 4), and the score its maximum,
    smooth as ``sharpness`` says.
    """

    bank: BankRecipe
    shape: Shape
    weights: Weights
    light: Light
    course: Course
    flips: Literal[1, 2, 4]
    sharpness: float


_LIGHT = Light(contrast=0.2, gain=0.25, colour=0.05, offset=0.06, noise=0.03, noisy=0.4, blurred=0.2)

_CPU = Profile(
    bank=LOCAL_BANK,
    shape=Shape(width=16, blocks=(1, 1, 1, 1), stem="small", cells=True),
    weights=Weights(cells=1.0, clean=0.3, attacked=0.7),
    light=_LIGHT,
    course=Course(
        epsilon=6 / 255,
        attack_steps=4,
        epsilon_warm_up=0.3,
        batch=32,
        steps=1200,
        optimizer="adamw",
        learning_rate=2e-3,
        weight_decay=1e-3,
        warm_up=0.1,
        average=0.995,
        mixed=True,
    ),
    flips=4,
    sharpness=4.0,
)

_PAPER = Profile(
    bank=LOCAL_BANK,
    shape=Shape(width=32, blocks=(2, 2, 2, 2), stem="small", cells=True),
    weights=Weights(cells=1.0, clean=0.3, attacked=0.7),
    light=_LIGHT,
    course=Course(
        epsilon=6 / 255,
        attack_steps=10,
        epsilon_warm_up=0.3,
        batch=64,
        steps=12_000,
        optimizer="adamw",
        learning_rate=2e-3,
        weight_decay=1e-3,
        warm_up=0.1,
        average=0.999,
        mixed=True,
    ),
    flips=4,
    sharpness=4.0,
)

PROFILES: Mapping[str, Profile] = {"cpu": _CPU, "paper": _PAPER}


def profile_named(name: str) -> Profile:
    """Return a profile; raises InvalidConfiguration when there is none of that name."""
    return named(PROFILES, name, "robust")
