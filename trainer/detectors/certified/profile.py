"""Every number of the certified distance, by profile."""

from collections.abc import Mapping
from dataclasses import dataclass

from trainer.detectors.profiles import named
from trainer.pseudo.kinds import LOCAL_BANK
from trainer.pseudo.recipe import BankRecipe


@dataclass(frozen=True, slots=True)
class CertifiedProfile:
    """``patch`` and ``stride`` are in pixels of the input; ``memory`` patches are kept at each place.

    Normals are also used flipped, and with their brightness multiplied by each of ``gains``. A pixel that
    differs by no more than ``tolerance``, in [0, 1], counts as equal. ``usual`` is a share: the distance that
    this share of left-out normals stays under at a place counts as zero there.
    """

    bank: BankRecipe
    patch: int
    stride: int
    memory: int
    gains: tuple[float, ...]
    tolerance: float
    usual: float


_CPU = CertifiedProfile(
    LOCAL_BANK, patch=4, stride=2, memory=128, gains=(0.93, 1.0, 1.07), tolerance=0.02, usual=0.99
)
_PAPER = CertifiedProfile(
    LOCAL_BANK, patch=4, stride=2, memory=512, gains=(0.86, 0.93, 1.0, 1.07, 1.14), tolerance=0.02, usual=0.99
)

PROFILES: Mapping[str, CertifiedProfile] = {"cpu": _CPU, "paper": _PAPER}


def profile_named(name: str) -> CertifiedProfile:
    """Return the profile ``name``; raises InvalidConfiguration when there is none of that name."""
    return named(PROFILES, name, "certified")
