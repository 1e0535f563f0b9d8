"""Every number of DAF, by profile. All profiles run the same code.

``cpu-nsa`` is the profile ``cpu`` with the bank of NSA, one of the paper's synthesis strategies; likewise for
the other strategies.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from trainer.detectors.daf.network import DafShape
from trainer.detectors.profiles import named
from trainer.learning.augment import Light
from trainer.learning.vary import CAMERA_CHANGES, CameraChanges
from trainer.pseudo.kinds import LOCAL_BANK
from trainer.pseudo.recipe import BankRecipe
from trainer.pseudo.synthetic import STRATEGIES


@dataclass(frozen=True, slots=True)
class DafSchedule:
    """Each step takes ``batch`` pictures, of which the share ``clean`` has no defect.

    The learning rate grows during ``warm_up`` and is cut to a fifth at each of ``cuts``, all fractions of the
    run. ``average`` is the share that the moving average of the weights keeps per step. ``mixed`` computes
    products in bfloat16 where the processor can. ``teacher_sees`` says whether the teacher gets the picture
    with the defect (``same``) or without it (``clean``, as in the paper).
    """

    batch: int
    clean: float
    steps: int
    learning_rate: float
    weight_decay: float
    warm_up: float
    cuts: tuple[float, ...]
    average: float
    mixed: bool
    teacher_sees: Literal["clean", "same"]

    def rate_at(self, step: int, steps: int) -> float:
        """Return the learning rate of a step."""
        done = step / steps
        grown = min(1.0, (step + 1) / max(1.0, steps * self.warm_up))
        return float(self.learning_rate * grown * 0.2 ** sum(done >= cut for cut in self.cuts))


@dataclass(frozen=True, slots=True)
class DafScoring:
    """The map is ``discrepancy`` times the sum of the stages' means plus ``decoder`` times the decoder's map.

    The map is averaged over ``flips`` of the picture (1, 2 or 4) and smoothed by a Gaussian of ``sigma``
    pixels at a side of 256. The score is the mean over the ``share`` of highest pixels, at least ``fewest``
    of them.
    """

    discrepancy: float
    decoder: float
    flips: Literal[1, 2, 4]
    sigma: float
    share: float
    fewest: int


@dataclass(frozen=True, slots=True)
class DafProfile:
    """One complete set of numbers; the loss takes ``negatives`` hard normal pixels per defective one.

    Of ``vary.copies + 1`` pictures of a step all but one are seen as another moment of the camera gives them.
    """

    bank: BankRecipe
    shape: DafShape
    schedule: DafSchedule
    light: Light
    negatives: int
    scoring: DafScoring
    vary: CameraChanges = CAMERA_CHANGES


# The paper's weights are 1 and 3. Ours rely on the decoder, which was trained on margins: the discrepancy
# responds little to the inside of a large defect.
_SCORING = DafScoring(discrepancy=1.0, decoder=30.0, flips=1, sigma=4.0, share=0.001, fewest=5)
_PAPER_SCORING = replace(_SCORING, decoder=3.0)
# Margins are large, and a decoder can learn to mark the whole of them.
_BANK = replace(LOCAL_BANK, per_normal=8, shares={**LOCAL_BANK.shares, "margin": 0.4}, closing=0.08)

_CPU = DafProfile(
    bank=_BANK,
    shape=DafShape(stages=(2, 3, 4), student=32, decoder=32, window=3, cue=True, decodes="student"),
    schedule=DafSchedule(
        batch=8,
        clean=0.4,
        steps=3000,
        learning_rate=1e-3,
        weight_decay=1e-5,
        warm_up=0.04,
        cuts=(0.58, 0.83),
        average=0.99,
        mixed=True,
        teacher_sees="same",
    ),
    light=Light(contrast=0.1, gain=0.15, colour=0.03, offset=0.04, noise=0.015, noisy=0.3, blurred=0.1),
    negatives=3,
    scoring=_SCORING,
)

_PAPER = DafProfile(
    bank=replace(LOCAL_BANK, shares=STRATEGIES["draem"], per_normal=64),
    shape=DafShape(stages=(2, 3, 4), student=64, decoder=64, window=5, cue=True, decodes="student"),
    schedule=DafSchedule(
        batch=8,
        clean=0.4,
        steps=60_000,
        learning_rate=2e-4,
        weight_decay=1e-5,
        warm_up=0.04,
        cuts=(0.58, 0.83),
        average=0.999,
        mixed=True,
        teacher_sees="clean",
    ),
    light=Light(contrast=0, gain=0, colour=0, offset=0, noise=0, noisy=0, blurred=0),
    negatives=3,
    scoring=_PAPER_SCORING,
    vary=replace(CAMERA_CHANGES, copies=0),
)

_BASES: Mapping[str, DafProfile] = {"cpu": _CPU, "paper": _PAPER}
PROFILES: Mapping[str, DafProfile] = {
    **_BASES,
    **{
        f"{name}-{strategy}": replace(base, bank=replace(base.bank, shares=shares, closing=0.0))
        for name, base in _BASES.items()
        for strategy, shares in STRATEGIES.items()
    },
}


def profile_named(name: str) -> DafProfile:
    """Return the profile ``name``; raises InvalidConfiguration when there is none of that name."""
    return named(PROFILES, name, "daf")
