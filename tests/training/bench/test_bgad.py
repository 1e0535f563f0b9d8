"""A kind that has no known defects is judged by the same pictures as without any known ones."""

import numpy as np
import pytest

from bench.ablations.bgad import AblationRow, BgadData, aurocs
from tests.support.parts import good_parts
from trainer.data.mvtec import TestSet

KINDS = ("good", "good", "scratch", "stain", "stain")
SCORES = np.array([0.1, 0.3, 0.2, 0.8, 0.9], np.float32)


def data(kinds: tuple[str, ...]) -> BgadData:
    pictures = good_parts(len(kinds), 16)
    test = TestSet(pictures, kinds, tuple("abcde"), None, np.zeros(len(kinds), bool))
    return BgadData(pictures, np.zeros(len(kinds), bool), test, np.array([True, False, True, False, False]))


def test_with_nothing_known_seen_and_unseen_are_means_over_the_kinds() -> None:
    found = aurocs(data(KINDS), AblationRow(0, "", 0), np.array([], np.intp), SCORES)
    assert found["unseen"] == pytest.approx((0.5 + 1.0) / 2)  # the scratch alone, then the stains alone
    assert found["seen"] == pytest.approx((1.0 + 0.5) / 2)  # all but the scratch, then all but the stains
    assert found["all"] == pytest.approx(5 / 6, abs=1e-4)


def test_a_known_defect_is_not_tested_and_no_unseen_one_is_left_out() -> None:
    found = aurocs(data(KINDS), AblationRow(1, "scratch", 0), np.array([4], np.intp), SCORES)
    assert found["unseen"] == 0.5
    assert found["seen"] == 1.0
    assert found["all"] == 0.75


def test_a_single_kind_is_never_unseen() -> None:
    found = aurocs(
        data(("good", "good", "stain", "stain", "stain")),
        AblationRow(0, "", 0),
        np.array([], np.intp),
        SCORES,
    )
    assert "unseen" not in found
