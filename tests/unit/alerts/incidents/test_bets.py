"""The p-value of drift may be looked at after every frame: while nothing drifts it is rarely small, ever."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.incidents.bets import Wealth, payoffs

MOST = 0.65  # of the frames in either half, while nothing drifts


def after(halves: list[bool], wealth: Wealth | None = None) -> Wealth:
    """Return the wealth after these frames; True is one in the half with the higher scores."""
    wealth = wealth or Wealth()
    for is_lower in halves:
        wealth = wealth.after(payoffs(is_lower, MOST))
    return wealth


def test_the_coin_is_one_coin_before_the_first_frame() -> None:
    assert Wealth().coins == 1


@given(st.lists(st.booleans(), max_size=60), st.floats(1 - MOST, MOST))
def test_no_frame_makes_the_coin_more_on_average_whatever_went_before(
    halves: list[bool], share: float
) -> None:
    before = after(halves)
    higher, lower = after([True], before).coins, after([False], before).coins
    assert share * higher + (1 - share) * lower <= before.coins * (1 + 1e-9)


@given(st.lists(st.booleans(), max_size=60))
def test_the_p_value_is_one_and_never_rises_and_survives_json(halves: list[bool]) -> None:
    wealth = Wealth()
    for is_lower in halves:
        later = after([is_lower], wealth)
        assert 0 < later.p_value <= wealth.p_value
        wealth = Wealth.read(later.model_dump_json().encode())
        assert wealth == later
    assert wealth.looked_at == len(halves)


@pytest.mark.parametrize("share", [0.5, MOST])
def test_while_nothing_drifts_it_is_ever_at_most_u_in_a_share_u_of_all_runs(share: float) -> None:
    runs, numbers = 200, random.Random(11)
    ends = [after([numbers.random() < share for _ in range(300)]).p_value for _ in range(runs)]
    for level in (0.05, 0.2):
        # Three standard deviations above what the inequality allows.
        allowed = level + 3 * (level * (1 - level) / runs) ** 0.5
        assert sum(end <= level for end in ends) / runs <= allowed


@pytest.mark.parametrize("calm", [0, 300])
def test_a_drift_makes_it_small_whenever_it_begins(calm: int) -> None:
    numbers = random.Random(5)
    before = after([numbers.random() < 0.5 for _ in range(calm)])
    assert before.p_value > 0.05
    assert after([numbers.random() < 0.95 for _ in range(100)], before).p_value < 0.01


def test_it_stays_above_zero_however_long_a_drift_lasts() -> None:
    assert 0 < after([True] * 3000).p_value < 1e-200
