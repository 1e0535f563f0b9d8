"""A Gaussian at each pixel as a detector: the simplest one that is one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from steadyline.errors import InvalidConfiguration, PackageRejected
from trainer.detector_protocol import Detector, FitInput, Fitted, OnProgress, Recipe, Served
from trainer.pseudo.kinds import LOCAL_BANK
from trainer.pseudo.recipe import BankRecipe

PATCHES = {"cpu": 4, "paper": 2}  # profile → pixels of a patch's side
LEAST_SPREAD = 2 / 255  # a pixel that never changed must not divide by zero


class Gaussian(Detector):
    """Mean and standard deviation of each pixel over the normals: PaDiM (Defard et al., 2021), on pixels.

    Neither the bank nor known defects are used, and nothing depends on the seed.
    """

    @override
    def bank_recipe(self, profile: str) -> BankRecipe:
        _patch(profile)
        return LOCAL_BANK

    @override
    def fit(self, given: FitInput, progress: OnProgress, checkpoint: Path | None) -> Fitted:
        if given.overrides:
            raise InvalidConfiguration(f"gaussian has no number {', '.join(given.overrides)} to change")
        x = torch.from_numpy(given.normals).permute(0, 3, 1, 2).float() / 255
        recipe: Recipe = {
            "detector": "gaussian",
            "patch": _patch(given.profile),
            "size": x.shape[3],
            "channels": x.shape[1],
        }
        served = _served(recipe)
        served.mean.copy_(x.mean(0))
        served.spread.copy_(x.std(0, correction=0).clamp_min(LEAST_SPREAD))
        progress(1, 1, "mean and spread")
        return Fitted(served.eval(), recipe, {"normals": float(len(x))})

    @override
    def rebuild(self, recipe: Recipe, weights: Mapping[str, Tensor]) -> Served:
        try:
            served = _served(recipe)
            served.load_state_dict(dict(weights))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise PackageRejected(f"recipe and weights of a gaussian model do not fit: {error}") from error
        return served.eval()


class _GaussianServed(Served):
    """Map: how many standard deviations the pixels of a patch are off, in the mean; score: its maximum."""

    mean: Tensor
    spread: Tensor

    def __init__(self, side: int, channels: int, patch: int) -> None:
        super().__init__()
        self._patch = patch
        self.register_buffer("mean", torch.zeros(channels, side, side))
        self.register_buffer("spread", torch.ones(channels, side, side))

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        off = ((x - self.mean) / self.spread).abs().mean(1, keepdim=True)
        anomaly_map = functional.avg_pool2d(off, self._patch)[:, 0]
        return anomaly_map.amax((1, 2)), anomaly_map


def _served(recipe: Recipe) -> _GaussianServed:
    numbers: Any = recipe
    return _GaussianServed(int(numbers["size"]), int(numbers["channels"]), int(numbers["patch"]))


def _patch(profile: str) -> int:
    if profile not in PATCHES:
        raise InvalidConfiguration(
            f"gaussian has no profile {profile!r}; there are {', '.join(sorted(PATCHES))}"
        )
    return PATCHES[profile]
