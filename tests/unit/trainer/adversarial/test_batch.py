"""A batch holds pairs: a good part and what was made of it, in one place; the defect is where its mask is."""

from functools import cache

import numpy as np
import torch

from tests.support.parts import good_parts
from trainer.adversarial.batch import PairedBatch, Pairs, Variation
from trainer.arrays import PseudoBank
from trainer.fit import FitSettings, make_pseudo_anomalies
from trainer.learning.augment import Light
from trainer.pseudo.entry import in_memory

STILL = Light(contrast=0, gain=0, colour=0, offset=0, noise=0, noisy=0, blurred=0)
GRID = (16, 16)


@cache
def a_bank() -> PseudoBank:
    """Return the pseudo-anomalies of the normals, made once for all tests that read them."""
    return in_memory(make_pseudo_anomalies(good_parts(16), FitSettings("robust")))


def drawn(shift: float, step: int = 0) -> PairedBatch:
    pictures = torch.from_numpy(good_parts(16)).permute(0, 3, 1, 2).float() / 255
    return Pairs(pictures, a_bank(), GRID, Variation(STILL, shift)).draw(7, step, 16, 1)


def test_a_moved_defect_lies_where_its_mask_is() -> None:
    batch = drawn(0.1)
    half = len(batch.first) // 2
    changed = (batch.first[:half] - batch.first[half:]).abs().amax(1)
    by_cell = torch.nn.functional.adaptive_avg_pool2d(changed, GRID)
    cells = batch.cells[half:] > 0
    assert float(by_cell[cells].mean()) > 20 * float(by_cell[~cells].mean())


def test_about_half_of_the_pairs_lie_askew() -> None:
    moved = [
        not torch.allclose(here, there, atol=1e-6)
        for step in range(4)
        for here, there in zip(drawn(0.0, step).first, drawn(0.1, step).first, strict=True)
    ]
    assert 0.25 < float(np.mean(moved)) < 0.75
