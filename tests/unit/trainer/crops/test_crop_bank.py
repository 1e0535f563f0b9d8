"""The bank of a large picture: crops that hold a defect, in their place, the same again for the same seed."""

import numpy as np
import pytest

from tests.support.crops import RECIPE, a_crop_bank, wide_parts
from tests.support.parts import good_parts
from trainer.crops.bank import LEFT_OUT, edge_of
from trainer.crops.place import EnergyPlaces, around, centred
from trainer.fit import FitSettings, make_pseudo_anomalies
from trainer.pseudo.entry import TOP, from_entries, in_memory, to_entries
from trainer.pseudo.mask import MASK_CHANGE

NORMALS = wide_parts(10)
SOURCES = [f"n{index:02}" for index in range(len(NORMALS))]


def test_the_same_normals_and_seed_give_the_same_crops() -> None:
    first, second = (to_entries(a_crop_bank(NORMALS, 7), SOURCES) for _ in range(2))
    assert first == second
    assert to_entries(a_crop_bank(NORMALS, 8), SOURCES) != first


def test_a_crop_differs_from_its_clean_twin_where_its_mask_is_and_nowhere_else() -> None:
    bank = in_memory(a_crop_bank(NORMALS))
    assert bank.corner is not None
    assert bank.pictures.shape[1:] == (64, 64, 1)
    assert len(bank.source) > 70
    for picture, mask, source, corner in zip(
        bank.pictures, bank.masks, bank.source, bank.corner, strict=True
    ):
        top, left = corner.tolist()
        twin = NORMALS[source, top : top + 64, left : left + 64].astype(int)
        np.testing.assert_array_equal(mask, np.abs(picture - twin).max(axis=2) / 255 > MASK_CHANGE + 1e-9)
        assert mask.any()
    assert LEFT_OUT.isdisjoint(bank.transform)


def test_crops_come_back_from_entries_with_their_place() -> None:
    made = a_crop_bank(NORMALS)
    back = from_entries(
        to_entries(made, SOURCES), {name: index for index, name in enumerate(SOURCES)}, "gray"
    )
    kept = in_memory(made)
    assert kept.corner is not None
    np.testing.assert_array_equal(back.corner, kept.corner)
    np.testing.assert_array_equal(back.pictures, kept.pictures)


def test_held_out_normals_give_whole_pictures_and_lend_no_crop_their_texture() -> None:
    normals, held_out = good_parts(15, 128), np.arange(15) % 5 == 0
    made = a_crop_bank(normals, held_out=held_out)
    whole = [anomaly for anomaly in made.anomalies if held_out[anomaly.source]]
    assert whole
    assert len(whole) <= 3 * 2
    for anomaly in made.anomalies:
        is_whole = anomaly.picture.shape[0] == 128
        assert is_whole == held_out[anomaly.source] == (TOP not in anomaly.parameters)
        assert held_out[int(anomaly.parameters["donor"])] == is_whole
    assert in_memory(made, held_out).corner is None
    assert in_memory(made, ~held_out).corner is not None


@pytest.mark.parametrize(("side", "profile"), [(96, "cpu"), (112, "cpu-whole")])
def test_small_pictures_and_whole_profiles_have_no_crops(side: int, profile: str) -> None:
    made = make_pseudo_anomalies(good_parts(4, side), FitSettings("robust", profile))
    assert in_memory(made).corner is None


def test_structure_draws_most_crops_and_plain_areas_some() -> None:
    picture = np.zeros((1, 64, 64, 1), np.uint8)
    picture[0, :16, :16] = np.random.default_rng(0).integers(0, 255, (16, 16, 1))
    places, rng = EnergyPlaces(picture), np.random.default_rng(1)
    drawn = [places.draw(0, rng) for _ in range(2000)]
    inside = np.mean([row < 16 and column < 16 for row, column in drawn])
    assert 0.75 < inside < 0.87  # .8 by energy and a sixteenth of .2
    assert 30 < max(row for row, _ in drawn) < 64


def test_a_plain_picture_is_cut_evenly() -> None:
    places, rng = EnergyPlaces(np.zeros((1, 32, 32, 1), np.uint8)), np.random.default_rng(1)
    drawn = np.array([places.draw(0, rng) for _ in range(400)])
    assert np.abs(drawn.mean(axis=0) - 15.5).max() < 2


def test_a_crop_lies_inside_the_picture_and_its_defect_not_at_its_rim() -> None:
    rng = np.random.default_rng(0)
    for pixel in [(0, 0), (50, 80), (111, 159)]:
        for _ in range(50):
            top, left = around(pixel, (64, 64), (112, 160), rng)
            assert 0 <= top <= 112 - 64
            assert 0 <= left <= 160 - 64
            assert top <= pixel[0] < top + 64
            assert left <= pixel[1] < left + 64
    assert centred((0, 159), (64, 64), (112, 160)) == (0, 96)
    rows = {80 - around((80, 80), (64, 64), (400, 400), rng)[0] for _ in range(400)}
    assert 8 <= min(rows) < 12
    assert 52 < max(rows) <= 55


def test_the_edge_of_a_mask_has_a_neighbour_outside_or_lies_at_the_border() -> None:
    mask = np.zeros((6, 6), np.bool_)
    mask[:4, 1:5] = True
    edge = edge_of(mask)
    assert edge[0, 2]
    assert edge[3, 2]
    assert not edge[1, 2]
    assert not edge[5, 5]


def test_a_bank_says_how_its_crops_were_made() -> None:
    assert RECIPE.parameters()["crops.side"] == 64
