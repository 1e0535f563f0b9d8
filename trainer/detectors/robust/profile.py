"""Every number of a robust training, by profile. All profiles run the same code."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from trainer.adversarial.network import NetworkShape
from trainer.adversarial.schedule import CPU_SCHEDULE, TrainingSchedule
from trainer.crops.material import CPU_CROPS, CropCourse
from trainer.detectors.profiles import named
from trainer.learning.augment import LINE_LIGHT, Light
from trainer.pseudo.kinds import LOCAL_BANK
from trainer.pseudo.recipe import BankRecipe, CropRecipe


@dataclass(frozen=True, slots=True)
class RobustLossWeights:
    """Weights in the loss: of the cells (the picture's is 1), of clean rows and of attacked rows."""

    cells: float
    clean: float
    attacked: float


@dataclass(frozen=True, slots=True)
class RobustProfile:
    """One complete set of numbers.

    The served map is the mean over ``flips`` of the picture (1, 2 or 4). The score is its smooth maximum,
    with the given ``sharpness``. In training half of the pictures are shifted by up to ``shift`` of their
    side. Where the bank holds crops, ``crops`` has the numbers that are others; flips, sharpness and shift
    then have no say.
    """

    bank: BankRecipe
    shape: NetworkShape
    weights: RobustLossWeights
    light: Light
    shift: float
    schedule: TrainingSchedule
    flips: Literal[1, 2, 4]
    sharpness: float
    crops: CropCourse = CPU_CROPS


_CPU = RobustProfile(
    bank=replace(LOCAL_BANK, crops=CropRecipe()),
    shape=NetworkShape(width=16, blocks=(1, 1, 1, 1), stem="small", cells=True),
    weights=RobustLossWeights(cells=1.0, clean=0.3, attacked=0.7),
    light=LINE_LIGHT,
    shift=0.045,
    schedule=replace(CPU_SCHEDULE, steps=2400),
    flips=4,
    sharpness=4.0,
)

_PAPER = replace(
    _CPU,
    shape=NetworkShape(width=32, blocks=(2, 2, 2, 2), stem="small", cells=True),
    schedule=replace(CPU_SCHEDULE, attack_steps=10, batch=64, steps=12_000, average=0.999, device="cuda"),
    crops=replace(CPU_CROPS, batch=64, steps=12_000),
)

# With ``-whole`` a net sees the whole picture at any size: for parts that always lie in their place. It is a
# profile because the bank, which then holds whole pictures, is made before single numbers are read.
PROFILES: Mapping[str, RobustProfile] = {
    "cpu": _CPU,
    "cpu-whole": replace(_CPU, bank=LOCAL_BANK),
    "paper": _PAPER,
    "paper-whole": replace(_PAPER, bank=LOCAL_BANK),
}


def profile_named(name: str) -> RobustProfile:
    """Return the profile ``name``; raises InvalidConfiguration when there is none of that name."""
    return named(PROFILES, name, "robust")
