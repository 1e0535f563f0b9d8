"""Large made-up parts and a small bank of their crops."""

from dataclasses import replace
from functools import cache

import numpy as np

from tests.support.parts import good_parts
from trainer.arrays import Masks, Pictures
from trainer.crops.bank import make_crop_bank
from trainer.detector_protocol import FitInput
from trainer.pseudo.bank import MadeBank
from trainer.pseudo.entry import in_memory
from trainer.pseudo.kinds import LOCAL_BANK
from trainer.pseudo.recipe import BankRecipe, CropRecipe

SIDE = 128
RECIPE: BankRecipe = replace(LOCAL_BANK, crops=CropRecipe(count=72, aside=8, whole=2))


def wide_parts(count: int, seed: int = 0) -> Pictures:
    """Return (N, 112, 160, 1) parts: neither square nor a multiple of 32."""
    parts = good_parts(count, 160, seed=seed)
    return np.ascontiguousarray(parts[:, :112])


def a_crop_bank(normals: Pictures, seed: int = 0, held_out: Masks | None = None) -> MadeBank:
    """Return a bank of few crops."""
    return make_crop_bank(normals, RECIPE, seed, held_out)


@cache
def a_crop_input() -> FitInput:
    """Return wide parts and crops of them, made once for all tests that read them."""
    normals = wide_parts(12)
    return FitInput(normals, in_memory(a_crop_bank(normals)), "cpu", seed=3)
