"""A batch of crops: pseudo-anomalies, clean twins of half of them, fresh crops, and hard places."""

from functools import cache

import numpy as np
import torch
from torch.testing import assert_close

from tests.support.crops import a_crop_input
from trainer.adversarial.network import CellNetwork, NetworkShape
from trainer.crops.batch import CropBatches
from trainer.crops.hard import AFTER, PER_NORMAL, hard_places, is_due
from trainer.learning.augment import Light

STILL = Light(contrast=0, gain=0, colour=0, offset=0, noise=0, noisy=0, blurred=0)


def batches() -> CropBatches:
    given = a_crop_input()
    return CropBatches(given.normals, given.bank, (16, 16), STILL)


@cache
def a_network() -> CellNetwork:
    torch.manual_seed(0)
    return CellNetwork(NetworkShape(4, (1, 1, 1, 1), "small", cells=True), 1).eval()


def test_half_of_the_normals_are_twins_that_differ_only_where_the_defect_is() -> None:
    batch = batches().draw(7, 0, 16, 2)
    assert batch.first.shape == (32, 1, 64, 64)
    assert batch.cells.shape == (32, 16, 16)
    assert not batch.cells[:16].any()
    changed = (batch.first[:8] - batch.first[16:24]).abs().amax(1)
    by_cell = torch.nn.functional.adaptive_avg_pool2d((changed > 4 / 255 + 1e-6).float(), 16)
    assert_close((by_cell >= 1 / 8).float(), batch.cells[16:24])


def test_a_step_is_drawn_the_same_again_and_the_next_one_is_another() -> None:
    first, again, other = (batches().draw(7, step, 8, 2) for step in (3, 3, 4))
    assert torch.equal(first.first, again.first)
    assert torch.equal(first.picked, again.picked)
    assert not torch.equal(first.first, other.first)


def test_one_pass_uses_every_crop_of_the_bank_once() -> None:
    drawer = batches()
    count = len(a_crop_input().bank.source) // 8
    turns = np.concatenate([drawer._turn(7, step, 8) for step in range(count)])
    assert len(np.unique(turns)) == len(turns)


def test_hard_places_are_looked_up_three_times_and_are_the_highest_cells_that_do_not_touch() -> None:
    assert [step for step in range(1, 101) if is_due(step, 100)] == [round(100 * share) for share in AFTER]
    normals = a_crop_input().normals
    places = hard_places(a_network(), normals)
    assert places.shape == (len(normals) * PER_NORMAL, 3)
    with torch.no_grad():
        x = torch.from_numpy(normals[:1]).permute(0, 3, 1, 2).float() / 255
        cells = a_network().classify(a_network().features(x))[0]
    row, column = places[0, 1:].tolist()
    assert float(cells[row // 4, column // 4]) == float(cells.max())
    own = places[places[:, 0] == 0, 1:]
    apart = (own[:, None] - own[None]).abs().amax(2) + 100 * torch.eye(PER_NORMAL, dtype=torch.int64)
    assert int(apart.min()) >= 8


def test_a_resumed_training_draws_from_the_same_hard_places() -> None:
    first, second = batches(), batches()
    assert not first.kept()
    before = first.draw(7, 40, 16, 2)
    first.learn(a_network(), 35, 100)
    second.resume(first.kept())
    again, resumed = (drawer.draw(7, 40, 16, 2) for drawer in (first, second))
    assert torch.equal(again.first, resumed.first)
    assert not torch.equal(again.first, before.first)
