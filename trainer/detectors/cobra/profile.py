"""Every number of a COBRA training, by profile. All profiles run the same code."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from steadyline.errors import InvalidConfiguration
from trainer.adversarial.network import NetworkShape
from trainer.adversarial.schedule import CPU_SCHEDULE, TrainingSchedule
from trainer.crops.material import CPU_CROPS, CropCourse
from trainer.detectors.cobra.copies import CLASSES, Classes
from trainer.detectors.profiles import Number, named, with_overrides
from trainer.learning.augment import LINE_LIGHT, Light
from trainer.pseudo.kinds import LOCAL_BANK, PAPER_BANK
from trainer.pseudo.recipe import BankRecipe, CropRecipe

Switch = Literal["mean", "sum", "ntxent", "supcon", "opposite-only", "cls-only"]
SWITCHES: tuple[Switch, ...] = ("mean", "sum", "ntxent", "supcon", "opposite-only", "cls-only")


@dataclass(frozen=True, slots=True)
class Adversary:
    """One l_inf PGD adversary of the training. The weights say which losses it raises, on which view.

    ``contrast`` weighs the contrastive loss against the clean rows of the other view, ``opposite`` the
    similarity to the opposite, and ``classes`` the classification loss.
    """

    view: Literal[1, 2]
    contrast: float = 0.0
    opposite: float = 0.0
    classes: float = 0.0


@dataclass(frozen=True, slots=True)
class CobraScoring:
    """How the served score is computed.

    ``memory`` is the number of normals' embeddings in the graph. ``weight`` multiplies the dissimilarity to
    them, which is added to the head's logit. ``sharpness`` is that of the smooth maximum over them. The
    paper's three choices: ``norm_power`` 1 multiplies the similarity with the embedding's norm, ``shifted``
    takes the mean over all K copies of the picture, and ``scaled`` divides the head's confidence by its mean
    over the normals.
    """

    memory: int
    weight: float
    sharpness: float
    norm_power: float
    shifted: bool = False
    scaled: bool = False


@dataclass(frozen=True, slots=True)
class CobraLossWeights:
    """Weights of the terms of the loss; ``clean`` and ``attacked`` weigh rows within classification."""

    contrast: float
    classes: float
    cells: float
    clean: float
    attacked: float


@dataclass(frozen=True, slots=True)
class CobraProfile:
    """One complete set of numbers; ``embedding`` is the length of a cell's embedding, ``classes`` is K.

    Where the bank holds crops, ``crops`` has the numbers that are others.
    """

    bank: BankRecipe
    shape: NetworkShape
    embedding: int
    score: CobraScoring
    weights: CobraLossWeights
    light: Light
    adversaries: tuple[Adversary, ...]
    clean_second_view: bool
    switch: Switch
    temperature: float
    rows_per_pair: int  # cells in the contrastive loss, per pair of a normal and its pseudo-anomaly
    schedule: TrainingSchedule
    classes: Classes = 2
    crops: CropCourse = CPU_CROPS


# The paper's three move away from the other view, towards the opposite, and across the head's boundary.
ADVERSARIES: Mapping[str, Adversary] = {
    "contrast": Adversary(view=1, contrast=1.0),
    "opposite": Adversary(view=2, opposite=1.0),
    "classes": Adversary(view=2, classes=1.0),
}

_CPU = CobraProfile(
    bank=replace(LOCAL_BANK, crops=CropRecipe()),
    shape=NetworkShape(width=16, blocks=(1, 1, 1, 1), stem="small", cells=True),
    embedding=32,
    score=CobraScoring(memory=256, weight=1.0, sharpness=20.0, norm_power=0.0),
    weights=CobraLossWeights(contrast=0.1, classes=1.0, cells=1.0, clean=0.3, attacked=0.7),
    light=LINE_LIGHT,
    adversaries=(Adversary(view=2, classes=1.0, opposite=0.1),),
    clean_second_view=False,
    switch="mean",
    temperature=0.5,
    rows_per_pair=4,
    schedule=CPU_SCHEDULE,
)

# The paper's recipe: whole pictures, ResNet-18 from scratch, all three adversaries, PGD-10 at 2/255 for 224
# pixels, and LARS. 100 passes over 400 normals in batches of 64 are 600 steps; the published figures took
# more.
_PAPER = CobraProfile(
    bank=PAPER_BANK,
    shape=NetworkShape(width=64, blocks=(2, 2, 2, 2), stem="large", cells=False),
    embedding=128,
    score=CobraScoring(memory=1024, weight=1.0, sharpness=20.0, norm_power=1.0, shifted=True, scaled=True),
    weights=CobraLossWeights(contrast=1.0, classes=1.0, cells=0.0, clean=2.0, attacked=1.0),
    light=Light(contrast=0.4, gain=0.4, colour=0.1, offset=0.0, noise=0.0, noisy=0.0, blurred=0.0),
    adversaries=tuple(ADVERSARIES.values()),
    clean_second_view=True,
    switch="mean",
    temperature=0.5,
    rows_per_pair=1,
    schedule=TrainingSchedule(
        epsilon=2 / 255,
        attack_steps=10,
        epsilon_warm_up=0.0,
        batch=64,
        steps=6000,
        optimizer="lars",
        learning_rate=1.0,  # 0.1, warmed up to ten times that
        weight_decay=1e-6,
        warm_up=0.1,
        average=0.0,
        mixed=True,
        device="cuda",
    ),
)

# With ``-whole`` a net sees the whole picture at any size, as the paper's always does.
PROFILES: Mapping[str, CobraProfile] = {
    "cpu": _CPU,
    "cpu-whole": replace(_CPU, bank=LOCAL_BANK),
    "paper": _PAPER,
}


def profile_named(name: str) -> CobraProfile:
    """Return the profile ``name``; raises InvalidConfiguration when there is none of that name."""
    return named(PROFILES, name, "cobra")


def overridden(profile: CobraProfile, overrides: Mapping[str, Number]) -> CobraProfile:
    """Return ``with_overrides``, where ``adversaries`` is a word like ``contrast+classes``.

    Also raises InvalidConfiguration for a loss, an adversary or a K that does not exist.
    """
    numbers = {name: value for name, value in overrides.items() if name != "adversaries"}
    found = with_overrides(profile, numbers)
    if "adversaries" in overrides:
        found = replace(found, adversaries=_adversaries(str(overrides["adversaries"])))
    if found.switch not in SWITCHES:
        raise InvalidConfiguration(f"switch is {found.switch!r}; there are {', '.join(SWITCHES)}")
    if found.classes not in CLASSES:
        raise InvalidConfiguration(f"classes is {found.classes!r}; there are 2 and 4")
    return found


def _adversaries(text: str) -> tuple[Adversary, ...]:
    names = text.split("+")
    if not set(names) <= set(ADVERSARIES):
        raise InvalidConfiguration(
            f"adversaries is {text!r}; there are {', '.join(ADVERSARIES)}, and sums of them with +"
        )
    return tuple(ADVERSARIES[name] for name in names)
