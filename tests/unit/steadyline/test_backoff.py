"""Delays between attempts."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from steadyline.backoff import Backoff


@given(st.floats(0.01, 1), st.floats(1, 60), st.integers(1, 80))
def test_a_delay_is_never_longer_than_the_longest_nor_shorter_than_half_the_first(
    first: float, longest: float, times: int
) -> None:
    backoff = Backoff.of_seconds(first, longest)
    delays = [backoff.next() for _ in range(times)]
    assert all(first / 2 <= delay.total_seconds() <= longest for delay in delays)
    if times > 40:
        assert delays[-1].total_seconds() >= longest / 2


def test_success_makes_the_next_delay_short_again() -> None:
    backoff = Backoff.of_seconds(1, 60)
    for _ in range(10):
        backoff.next()
    backoff.reset()
    assert backoff.next() <= timedelta(seconds=1)
