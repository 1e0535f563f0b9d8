"""Every number of the patch detector, by profile. All profiles run the same code."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from trainer.backbone.choice import BackboneChoice
from trainer.detectors.profiles import named
from trainer.learning.vary import CAMERA_CHANGES, CameraChanges
from trainer.pseudo.kinds import LOCAL_BANK
from trainer.pseudo.recipe import BankRecipe

Judgement = Literal["nearest", "gaussian", "max", "sum"]


@dataclass(frozen=True, slots=True)
class NearestNumbers:
    """``memory`` patches are kept, each next one the farthest from those before, out of ``seen`` drawn ones.

    Distances of ``chunk`` patches to the whole memory are computed at once.
    """

    memory: int
    seen: int
    chunk: int


@dataclass(frozen=True, slots=True)
class GaussianNumbers:
    """``dimensions`` of the features are compared, drawn at random; ``ridge`` is added to each variance.

    Each place has a mean of its own. Squares of places share one covariance: as few places as have ``fewest``
    samples together, and so large that there are at most ``most`` squares.
    """

    dimensions: int
    ridge: float
    fewest: int
    most: int


@dataclass(frozen=True, slots=True)
class PatchProfile:
    """One complete set of numbers.

    ``judged`` says which distance the score is of: to the nearest normal patch, to the Gaussian of the place,
    or the greater one (``max``) or the sum of both, each in units of normals that were held aside.
    """

    bank: BankRecipe
    nearest: NearestNumbers
    gaussian: GaussianNumbers
    judged: Judgement
    backbone: BackboneChoice = field(default_factory=BackboneChoice)
    vary: CameraChanges = CAMERA_CHANGES


_CPU = PatchProfile(
    bank=LOCAL_BANK,
    nearest=NearestNumbers(memory=2000, seen=40_000, chunk=128),
    gaussian=GaussianNumbers(dimensions=64, ridge=0.01, fewest=256, most=1024),
    judged="max",
)
_PAPER = replace(_CPU, nearest=NearestNumbers(memory=10_000, seen=200_000, chunk=128))

PROFILES: Mapping[str, PatchProfile] = {"cpu": _CPU, "paper": _PAPER}


def profile_named(name: str) -> PatchProfile:
    """Return the profile ``name``; raises InvalidConfiguration when there is none of that name."""
    return named(PROFILES, name, "patch")
