"""Delays double up to their bound, and what failed at the same time waits once."""

from datetime import timedelta

from steadyline.backoff import Backoff, RetryTimer
from steadyline.clock import ManualClock

SHORT = timedelta(seconds=1), timedelta(seconds=5)


def seconds(*delays: float) -> list[timedelta]:
    return [timedelta(seconds=delay) for delay in delays]


def test_without_jitter_each_delay_is_twice_the_one_before_up_to_the_longest() -> None:
    backoff = Backoff(*SHORT, least=1.0)
    assert [backoff.next() for _ in range(4)] == seconds(1, 2, 4, 5)


def test_a_constant_back_off_never_grows() -> None:
    backoff = Backoff.constant(timedelta(seconds=2))
    assert [backoff.next() for _ in range(3)] == seconds(2, 2, 2)


def test_failures_of_attempts_made_together_lengthen_no_delay() -> None:
    clock = ManualClock()
    timer = RetryTimer(Backoff(*SHORT, least=1.0), clock)
    assert [timer.failed(), timer.failed(), timer.failed()] == [True, False, False]
    assert (timer.is_due, timer.delay) == (False, timedelta(seconds=1))
    clock.advance(timedelta(seconds=1))
    assert timer.is_due
    timer.failed()
    assert timer.delay == timedelta(seconds=2)


def test_a_success_ends_the_outage_and_the_next_failure_begins_another() -> None:
    clock = ManualClock()
    timer = RetryTimer(Backoff(*SHORT, least=1.0), clock)
    assert not timer.succeeded()
    timer.failed()
    clock.advance(timedelta(seconds=1))
    assert timer.is_failing
    assert timer.succeeded()
    assert (timer.is_failing, timer.failed(), timer.delay) == (False, True, timedelta(seconds=1))


def test_another_attempt_than_the_failed_one_need_not_wait() -> None:
    timer = RetryTimer(Backoff.of_seconds(1, 8), ManualClock())
    timer.failed()
    timer.try_now()
    assert timer.is_due
    assert timer.is_failing
