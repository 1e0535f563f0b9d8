"""Every number of a BGAD training, by profile. All profiles run the same code."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from trainer.detectors.bgad.flow import FlowShape
from trainer.detectors.bgad.levels import LevelShape
from trainer.detectors.bgad.loss import Boundary
from trainer.detectors.profiles import named
from trainer.learning.vary import CAMERA_CHANGES, CameraChanges
from trainer.pseudo.acceptance import Bar
from trainer.pseudo.kinds import LOCAL_SHARES
from trainer.pseudo.recipe import BankRecipe


@dataclass(frozen=True, slots=True)
class BgadSchedule:
    """A training learns the normals for ``steps``, then pushes known defects for ``pushes`` more steps.

    Each step draws ``normal`` and ``anomalous`` vectors per level. ``shrinkage`` of the mean variance is
    added to the covariance of the normals and, as noise, to the vectors. ``average`` is the share that the
    moving average of the weights keeps per step.
    """

    steps: int
    pushes: int
    normal: int
    anomalous: int
    learning_rate: float
    shrinkage: float
    average: float


@dataclass(frozen=True, slots=True)
class BgadScoring:
    """A picture's score is the mean over the ``share`` of most unlikely cells; 0 takes the single worst cell.

    ``levels`` is "standard" to sum the log-densities of levels in units of the training normals, or "paper"
    to sum exp(log p - its maximum over the training normals), which cannot tell two clear anomalies apart.
    """

    share: float
    levels: Literal["standard", "paper"]


@dataclass(frozen=True, slots=True)
class KnownDefectUse:
    """A known defect without a mask is assumed to lie in the ``region`` of its cells that scores highest.

    ``tilt`` is how far densities lean away from very many known defects. With K of them the factor is
    ``tilt`` K / (K + ``prior``), because a single defect says little about others. Pushes also draw from up
    to ``copies`` of each defect pasted onto normals, and from at most ``most_copies`` in all.
    """

    region: float
    tilt: float
    prior: float
    copies: int
    most_copies: int


@dataclass(frozen=True, slots=True)
class BgadProfile:
    """One complete set of numbers for BGAD; ``vary`` is how normals are also seen in training."""

    bank: BankRecipe
    levels: LevelShape
    flow: FlowShape
    schedule: BgadSchedule
    boundary: Boundary
    known: KnownDefectUse
    scoring: BgadScoring
    vary: CameraChanges = CAMERA_CHANGES


# Pseudo-anomalies are only evaluated on: they decide whether known defects helped, and they serve the gate.
_BANK = BankRecipe(per_normal=2, shares=LOCAL_SHARES, bar=Bar(quantile=0.05, contrast=12 / 255))

# In small trials pushing lowered the clean AUROC with few known defects, and leaning away from them did not.
# So "cpu" leans and "paper" pushes; ``bench.ablations.bgad`` compares both.
_CPU = BgadProfile(
    bank=_BANK,
    levels=LevelShape(stages=(5, 6), scales=(1.0, 0.8), standardised=True),
    flow=FlowShape(couplings=4, hidden=64),
    schedule=BgadSchedule(
        steps=150,
        pushes=0,
        normal=512,
        anomalous=128,
        learning_rate=1e-3,
        shrinkage=0.1,
        average=0.98,
    ),
    boundary=Boundary(quantile=0.05, margin=0.1, weight=1.0),
    known=KnownDefectUse(region=0.1, tilt=3.0, prior=10.0, copies=16, most_copies=128),
    scoring=BgadScoring(share=0.05, levels="standard"),
)

_PAPER = BgadProfile(
    bank=_BANK,
    levels=LevelShape(stages=(2, 3, 5), scales=(1.0,), standardised=False),
    flow=FlowShape(couplings=8, hidden=256),
    schedule=BgadSchedule(
        steps=2400,
        pushes=2400,
        normal=4096,
        anomalous=4096,
        learning_rate=2e-4,
        shrinkage=0.001,
        average=0.0,
    ),
    boundary=Boundary(quantile=0.05, margin=0.1, weight=1.0),
    known=KnownDefectUse(region=0.1, tilt=0.0, prior=10.0, copies=32, most_copies=512),
    scoring=BgadScoring(share=0.0, levels="paper"),
    vary=replace(CAMERA_CHANGES, copies=0),
)

PROFILES: Mapping[str, BgadProfile] = {"cpu": _CPU, "paper": _PAPER}


def profile_named(name: str) -> BgadProfile:
    """Return the profile ``name``; raises InvalidConfiguration when there is none of that name."""
    return named(PROFILES, name, "bgad")
