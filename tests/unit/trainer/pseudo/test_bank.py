"""A bank is the same for the same normals and seed, and keeps sides apart."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.parts import good_parts
from trainer.pseudo.acceptance import Bar
from trainer.pseudo.bank import make_bank
from trainer.pseudo.entry import from_entries, in_memory, to_entries
from trainer.pseudo.kinds import LOCAL_BANK, LOCAL_SHARES, PAPER_BANK
from trainer.pseudo.mask import MASK_CHANGE
from trainer.pseudo.recipe import Adapt, BankRecipe

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


SHARED = replace(RECIPE, shares={"scar": 3, "cut-out": 1, "permute": 1}, adapt=Adapt(draws=12, least=0.05))


def test_shares_are_fitted_to_what_the_check_accepts_of_this_product() -> None:
    made = make_bank(NORMALS, SHARED, 0, HELD_OUT)
    assert sum(made.shares.values()) == pytest.approx(1)
    plain = make_bank(NORMALS, replace(SHARED, adapt=None), 0, HELD_OUT)
    assert plain.shares == pytest.approx({"scar": 0.6, "cut-out": 0.2, "permute": 0.2})
    assert made.shares != pytest.approx(plain.shares)
    drawn = {name: sum(a.transform == name for a in made.anomalies) for name in made.shares}
    for name, share in made.shares.items():
        assert drawn[name] / len(made.anomalies) == pytest.approx(share, abs=0.2)


def test_a_transform_that_leaves_the_normals_as_they_are_is_dropped() -> None:
    flat = np.full((20, 32, 32, 1), 128, np.uint8)
    made = make_bank(flat, SHARED, 0)
    assert made.shares["permute"] == 0
    assert {anomaly.transform for anomaly in made.anomalies} <= {"scar", "cut-out"}
    assert made.rates["permute"] == 0


def test_fitted_shares_are_the_same_for_the_same_seed_and_go_into_the_manifest() -> None:
    first, second = (make_bank(NORMALS, SHARED, 7, HELD_OUT) for _ in range(2))
    assert first.shares == second.shares
    assert [a.picture.tobytes() for a in first.anomalies] == [a.picture.tobytes() for a in second.anomalies]
    assert first.found_shares() == {f"found.{name}": round(part, 6) for name, part in first.shares.items()}
    assert SHARED.parameters()["adapt.draws"] == 12
    assert "adapt.draws" not in RECIPE.parameters()


def test_when_nothing_is_accepted_the_shares_stay() -> None:
    hard = replace(SHARED, bar=Bar(quantile=0.05, contrast=1.1))
    made = make_bank(NORMALS[:8], hard, 0)
    assert made.shares == pytest.approx({"scar": 0.6, "cut-out": 0.2, "permute": 0.2})
    assert not made.anomalies


def test_the_papers_bank_is_fitted_to_the_product() -> None:
    assert PAPER_BANK.adapt is not None
    assert LOCAL_BANK.adapt is None
