"""Every number of the detector of two halves that is not a number of one half, by profile."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from trainer.detectors.profiles import named

Fusion = Literal["lifted", "max", "sum"]


@dataclass(frozen=True, slots=True)
class EitherProfile:
    """``fusion`` is how the halves' scores become one: that of the robust half, lifted by what the other has
    above its centre; the greater one; or their sum.

    The robust half sees pictures reduced to about ``side`` pixels of their shorter side, as long as their
    longer one has at most ``reduced_up_to``: parts in their place are seen whole. Larger pictures it sees as
    they are, and learns them from crops; with a ``side`` of 0 it sees all as they are.

    Pictures are brought into a range of light before both halves: the share ``beyond`` of the normals lies
    under it and as many above, in mean and in deviation. With 0 the range is all that the normals had.

    Scores are raised where a picture is of a brightness and a detail whose normals score low: by how far the
    score that the share ``compensation`` of these stays below lies under that of the median picture. With 0
    they are not.

    The frozen half's map is averaged with itself smoothed by a Gaussian of ``sigma`` of its cells, 8 pixels
    each, before the maps are added; the score is that of the map as it is.
    """

    fusion: Fusion
    side: int
    reduced_up_to: int
    beyond: float
    sigma: float
    compensation: float


PROFILES: Mapping[str, EitherProfile] = {
    "cpu": EitherProfile(
        fusion="lifted", side=64, reduced_up_to=192, beyond=0.1, sigma=4.0, compensation=0.75
    ),
    "paper": EitherProfile(
        fusion="lifted", side=64, reduced_up_to=192, beyond=0.1, sigma=4.0, compensation=0.75
    ),
}


def profile_named(name: str) -> EitherProfile:
    """Return the profile ``name``; raises InvalidConfiguration when there is none of that name."""
    return named(PROFILES, name, "either")
