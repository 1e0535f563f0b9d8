"""Delays between attempts."""

from hypothesis import given
from hypothesis import strategies as st

from scorer.backoff import Backoff


@given(st.floats(0.01, 1), st.floats(1, 60), st.integers(1, 80))
def test_a_delay_is_never_longer_than_the_longest_nor_shorter_than_half_the_first(
    first: float, longest: float, times: int
) -> None:
    backoff = Backoff(first, longest)
    delays = [backoff.next_seconds() for _ in range(times)]
    assert all(first / 2 <= delay <= longest for delay in delays)
    if times > 40:
        assert delays[-1] >= longest / 2


def test_success_makes_the_next_delay_short_again() -> None:
    backoff = Backoff(1, 60)
    for _ in range(10):
        backoff.next_seconds()
    backoff.reset()
    assert backoff.next_seconds() <= 1
