"""When a model sees next to nothing, and what is said of one that sees little."""

import math

import numpy as np
import pytest

from trainer.sight import Sight, blind_reason, modest_note, raised_share


@pytest.mark.parametrize(
    ("sight", "is_blind"),
    [
        (Sight("defects", 0.59, 0.5, 5), True),
        (Sight("defects", 0.61, 0.5, 5), False),
        (Sight("defects", 0.9, 0.0, 5), True),
        (Sight("pseudo", 0.52, 0.0, 200, 0.70), False),  # a good model: only its own normal is a fair measure
        (Sight("pseudo", 0.9, 0.9, 200, 0.54), True),
        (Sight("pseudo", 0.9, 0.9, 30, 0.62), True),  # of so few it may be chance
        (Sight("pseudo", 0.9, 0.9, 200, 0.62), False),
        (Sight("pseudo", math.nan, 0.9, 200, 0.9), True),
        (Sight("pseudo", 0.9, 0.9, 200, math.nan), True),
    ],
)
def test_a_model_is_blind_by_defects_or_by_the_normals_that_defects_were_drawn_into(
    sight: Sight, is_blind: bool
) -> None:
    assert (blind_reason(sight) is not None) == is_blind


def test_a_tie_counts_half() -> None:
    before = np.array([1, 1, 1, 1], np.float32)
    assert raised_share(np.array([2, 1, 0, 1], np.float32), before) == 0.5
    assert raised_share(before, before) == 0.5


def test_a_model_that_ranks_them_poorly_is_told_and_not_refused() -> None:
    assert "may escape this model" in (modest_note(Sight("pseudo", 0.52, 0.0, 200, 0.7)) or "")
    assert modest_note(Sight("pseudo", 0.8, 0.5, 200, 0.9)) is None
    assert modest_note(Sight("pseudo", 0.5, 0.0, 200, 0.5)) is None  # that one is blind, which is said
    assert modest_note(Sight("defects", 0.5, 0.0, 5)) is None
