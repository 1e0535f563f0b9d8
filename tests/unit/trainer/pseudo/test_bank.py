"""A bank is the same for the same normals and seed, and keeps sides apart."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.parts import good_parts
from trainer.pseudo.acceptance import Bar
from trainer.pseudo.bank import MASK_CHANGE, make_bank
from trainer.pseudo.entry import from_entries, in_memory, to_entries
from trainer.pseudo.kinds import LOCAL_SHARES
from trainer.pseudo.recipe import BankRecipe

RECIPE = BankRecipe(per_normal=3, shares=LOCAL_SHARES, bar=Bar(quantile=0.05, contrast=12 / 255))
NORMALS = good_parts(30)
HELD_OUT = np.arange(30) % 5 == 0


def test_the_same_normals_and_seed_give_the_same_bytes() -> None:
    sources = [f"n{index}" for index in range(len(NORMALS))]
    first, second = (make_bank(NORMALS, RECIPE, 7, HELD_OUT) for _ in range(2))
    assert to_entries(first, sources) == to_entries(second, sources)
    assert to_entries(make_bank(NORMALS, RECIPE, 8, HELD_OUT), sources) != to_entries(first, sources)


def test_every_anomaly_has_cleared_the_bar_and_its_mask_is_what_changed() -> None:
    made = make_bank(NORMALS, RECIPE, 0, HELD_OUT)
    assert len(made.anomalies) > 60
    for anomaly in made.anomalies:
        assert anomaly.acceptance <= RECIPE.bar.quantile
        change = np.abs(anomaly.picture.astype(int) - NORMALS[anomaly.source]).max(axis=2)
        assert change.max() >= 12
        np.testing.assert_array_equal(anomaly.mask, change / 255 > MASK_CHANGE + 1e-9)


def test_rates_say_how_many_draws_were_accepted() -> None:
    rates = make_bank(NORMALS, RECIPE, 0, HELD_OUT).rates
    assert rates
    assert all(0 <= rate <= 1 for rate in rates.values())
    assert min(rates.values()) < 1


def test_held_out_normals_lend_nothing_to_the_others() -> None:
    for anomaly in make_bank(NORMALS, RECIPE, 0, HELD_OUT).anomalies:
        assert HELD_OUT[int(anomaly.parameters["donor"])] == HELD_OUT[anomaly.source]


def test_a_bar_that_nothing_clears_leaves_the_bank_empty() -> None:
    hard = replace(RECIPE, bar=Bar(quantile=0.05, contrast=1.1))
    made = make_bank(NORMALS[:8], hard, 0)
    assert not made.anomalies
    assert set(made.rates.values()) == {0.0}


@pytest.mark.parametrize("channels", [1, 3])
def test_entries_come_back_as_they_went(channels: int) -> None:
    normals = good_parts(12, channels=channels)
    made = make_bank(normals, RECIPE, 0)
    sources = [f"n{index:02}" for index in range(len(normals))]
    back = from_entries(
        to_entries(made, sources),
        {name: index for index, name in enumerate(sources)},
        "rgb" if channels == 3 else "gray",
    )
    kept = in_memory(made)
    np.testing.assert_array_equal(back.pictures, kept.pictures)
    np.testing.assert_array_equal(back.masks, kept.masks)
    np.testing.assert_array_equal(back.source, kept.source)
    assert back.transform == kept.transform


def test_training_gets_only_anomalies_of_its_own_normals_renumbered() -> None:
    made = make_bank(NORMALS, RECIPE, 0, HELD_OUT)
    kept = in_memory(made, ~HELD_OUT)
    assert kept.source.max() < (~HELD_OUT).sum()
    sources = [anomaly.source for anomaly in made.anomalies if not HELD_OUT[anomaly.source]]
    np.testing.assert_array_equal(np.flatnonzero(~HELD_OUT)[kept.source], sources)
