"""Both halves as one detector: what frozen features find, and what a net trained under attack finds."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from steadyline.errors import InvalidConfiguration, PackageRejected
from trainer.arrays import Pictures
from trainer.detector_protocol import Detector, FitInput, Fitted, OnProgress, Overrides, Recipe, Served
from trainer.detectors.either.light_range import LightLimits, LightRange
from trainer.detectors.either.profile import EitherProfile, Fusion, profile_named
from trainer.detectors.either.reduce import Reduce, kept_input, reduced_input, reduced_size
from trainer.detectors.either.served import PATCH, ROBUST, EitherServed, SeenByHalves
from trainer.detectors.either.trait_compensation import (
    FEWEST_NORMALS,
    TraitCompensation,
    TraitSlopes,
    traits_of,
)
from trainer.detectors.in_parts import WHOLE, DetectorPart, of_part, share_of
from trainer.detectors.patch.detector import Patch
from trainer.detectors.patch.fitting import as_floats, batch_of
from trainer.detectors.profiles import with_overrides
from trainer.detectors.recipe import size_in_recipe
from trainer.detectors.robust.detector import Robust
from trainer.detectors.units import held_aside, units_of
from trainer.learning.smoothing import LEAST_SIGMA
from trainer.learning.vary import CAMERA_CHANGES, views
from trainer.pseudo.recipe import BankRecipe

SHARE = WHOLE // 20  # of the progress: fitting the patches takes little beside training under attack
_UNITS = ("centre", "spread")
MOST_COMPENSATED = 128  # normals that a compensation is learned from, four times each
LARGEST_SIGMA = 16  # cells of 8 pixels: beyond that a map says nothing of a place


class Either(Detector):
    """The score of ``robust``, lifted by what ``patch`` has above its centre, in units of normals held aside.

    Both see pictures in light that the normals had: others are taken back to the edge of it (``LightRange``).
    The halves are trained on the normals as they are, which vary more. The score is raised where normals of
    the picture's brightness and detail score low (``TraitCompensation``).

    Without labels nobody can tell which half sees a product's defects, and both cost one request. One normal
    in eight is held aside of both halves. Overrides begin with the name of a half, as
    ``patch.nearest.memory``; the others are the detector's own numbers.
    """

    def __init__(self) -> None:
        self._patch = DetectorPart(PATCH, Patch(), SHARE)
        self._robust = DetectorPart(ROBUST, Robust(), WHOLE - SHARE)

    @override
    def bank_recipe(self, profile: str) -> BankRecipe:
        """Return that of ``robust``, with whole pictures as long as that half sees them reduced."""
        recipe, whole = self._robust.detector.bank_recipe(profile), profile_named(profile).reduced_up_to
        return (
            recipe
            if recipe.crops is None
            else replace(recipe, crops=replace(recipe.crops, whole_up_to=whole))
        )

    @override
    def fit(self, given: FitInput, progress: OnProgress, checkpoint: Path | None) -> Fitted:
        profile = _profile(given)
        aside = held_aside(len(given.normals), given.seed)
        kept = kept_input(given, ~aside)
        before = given.normals.shape[1], given.normals.shape[2]
        seen = reduced_size(*before, profile.side, profile.reduced_up_to)
        first = self._patch.detector.fit(_of_half(kept, PATCH), share_of(progress, 0, self._patch), None)
        second = self._robust.detector.fit(
            _of_half(reduced_input(kept, seen), ROBUST),
            share_of(progress, SHARE, self._robust),
            None if checkpoint is None else checkpoint / ROBUST,
        )
        limits = LightLimits.of(kept.normals, profile.beyond)
        shown = SeenByHalves(LightRange(limits), Reduce(before, seen))
        module = EitherServed(first.module, second.module, shown, profile.fusion, profile.sigma).eval()
        _learn_units(module, given.normals[aside])
        slopes = _learn_compensation(module, given.normals[aside], profile.compensation, given.seed)
        recipe: Recipe = {
            "detector": "either",
            "profile": given.profile,
            "seed": given.seed,
            **size_in_recipe(given),
            "channels": given.normals.shape[3],
            "numbers": {
                **asdict(profile),
                "before": list(before),
                "seen": list(seen),
                "light": limits.as_recipe(),
                "compensation": None if slopes is None else slopes.as_recipe(),
            },
            PATCH: first.recipe,
            ROBUST: second.recipe,
        }
        figures = {**second.figures, **first.figures, "held_aside": float(aside.sum())}
        return Fitted(module, recipe, figures)

    @override
    def rebuild(self, recipe: Recipe, weights: Mapping[str, Tensor]) -> Served:
        found = {name: of_part(name, weights) for name in (PATCH, ROBUST)}
        parts: Any = [recipe.get(name) for name in (PATCH, ROBUST)]
        if sum(map(len, found.values())) + len(_UNITS) != len(weights) or not all(
            isinstance(one, dict) for one in parts
        ):
            raise PackageRejected(
                "recipe and weights of either do not fit: two halves and their units are due"
            )
        halves = (
            self._patch.detector.rebuild(parts[0], found[PATCH]),
            self._robust.detector.rebuild(parts[1], found[ROBUST]),
        )
        try:
            numbers: Any = recipe["numbers"]
            channels: Any = recipe["channels"]
            seen, sigma = _seen_of(numbers, int(channels)), numbers.get("sigma", 0)  # earlier releases: none
            _check_sigma(sigma)
            module = EitherServed(*halves, seen, numbers["fusion"], sigma)
            slopes = numbers.get("compensation")  # neither earlier releases nor few normals have one
            module.compensation = None if slopes is None else TraitCompensation(TraitSlopes.of_recipe(slopes))
            for name in _UNITS:
                module.get_buffer(name).copy_(weights[name])
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, OverflowError) as error:
            raise PackageRejected(f"recipe and weights of either do not fit: {error}") from error
        return module.eval()


def _seen_of(numbers: Any, channels: int) -> SeenByHalves:
    """Return what the halves see by the numbers of a recipe; those of an earlier release have no limits."""
    stored = numbers.get("light")
    light: nn.Module = nn.Identity()
    if stored is not None:
        limits = LightLimits.of_recipe(stored)
        if len(limits.means[0]) != channels:
            raise ValueError(
                f"limits of light of {len(limits.means[0])} channels, and pictures of {channels}"
            )
        light = LightRange(limits)
    return SeenByHalves(light, Reduce(tuple(numbers["before"]), tuple(numbers["seen"])))


def _profile(given: FitInput) -> EitherProfile:
    own = {name: value for name, value in given.overrides.items() if _half(name) is None}
    try:
        profile = with_overrides(profile_named(given.profile), own)
    except InvalidConfiguration as error:
        raise InvalidConfiguration(f"{error}; numbers of a half begin with {PATCH}. or {ROBUST}.") from error
    if profile.fusion not in get_args(Fusion):
        raise InvalidConfiguration(f"fusion is one of {', '.join(get_args(Fusion))}, not {profile.fusion!r}")
    if not 0 <= profile.compensation < 1:
        raise InvalidConfiguration(
            f"compensation is a share of the normals under 1, not {profile.compensation}"
        )
    if not 0 <= profile.beyond <= 0.5:
        raise InvalidConfiguration(f"beyond is a share of the normals from 0 to 0.5, not {profile.beyond}")
    try:
        _check_sigma(profile.sigma)
    except ValueError as error:
        raise InvalidConfiguration(str(error)) from error
    return profile


def _check_sigma(sigma: float) -> None:
    if sigma != 0 and not LEAST_SIGMA <= sigma <= LARGEST_SIGMA:
        raise ValueError(f"sigma is 0, or {LEAST_SIGMA} to {LARGEST_SIGMA} cells of a map, not {sigma}")


def _of_half(given: FitInput, half: str) -> FitInput:
    """Return the same training with the overrides that belong to one half."""
    own: Overrides = {
        name.removeprefix(f"{half}."): value for name, value in given.overrides.items() if _half(name) == half
    }
    return replace(given, overrides=own)


def _half(override: str) -> str | None:
    return next((half for half in (PATCH, ROBUST) if override.startswith(f"{half}.")), None)


def _learn_units(module: EitherServed, aside: Pictures) -> None:
    """Set centre and spread of both halves by normals that neither was trained on."""
    at_once = batch_of(aside)
    with torch.inference_mode():
        parts = [aside[start : start + at_once] for start in range(0, len(aside), at_once)]
        raw = np.concatenate([module.raw_halves(as_floats(part)).numpy() for part in parts])
    for half, scores in enumerate(raw.T):
        module.centre[half], module.spread[half] = units_of(scores)


def _learn_compensation(module: EitherServed, aside: Pictures, share: float, seed: int) -> TraitSlopes | None:
    """Compensate scores from now on, by normals that neither half was trained on, as a camera may vary them;
    return the slopes, None where that is not wanted or the normals are too few.
    """
    if not share or len(aside) < FEWEST_NORMALS:
        return None
    shown = aside[np.linspace(0, len(aside) - 1, min(len(aside), MOST_COMPENSATED)).astype(int)]
    traits, scores = [], []
    with torch.inference_mode():
        for part, _ in views(shown, CAMERA_CHANGES, seed, batch_of(shown)):
            x = as_floats(part)
            traits.append(traits_of(x, module.light(x)).numpy())
            scores.append(module.score_alone(x).numpy())
    slopes = TraitSlopes.of(
        np.concatenate(traits).astype(np.float64), np.concatenate(scores).astype(np.float64), share
    )
    module.compensation = TraitCompensation(slopes)
    return slopes
