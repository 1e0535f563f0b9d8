"""One answer to the question how a camera does."""

import random
import threading
from datetime import timedelta

import pytest

from producers.camera_state.state import Condition, Rate, judge
from producers.sources.pacing import Pacer
from steadyline.backoff import Backoff
from steadyline.clock import ManualClock
from steadyline.contracts.camera_status import CameraState


@pytest.mark.parametrize(
    ("lost", "quality", "blocked", "slow", "told"),
    [
        (None, None, False, False, Condition("up", "capturing")),
        ("timeout", "dark", True, True, Condition("down", "timeout")),
        (None, "frozen", True, True, Condition("frozen", "identical_pictures")),
        (None, None, True, True, Condition("slow", "backpressure")),
        (None, None, False, True, Condition("slow", "below_rate")),
    ],
)
def test_the_gravest_holds(
    lost: str | None, quality: CameraState | None, blocked: bool, slow: bool, told: Condition
) -> None:
    assert judge(lost, quality, blocked, slow) == told


def test_a_camera_at_half_its_rate_is_slow_after_some_seconds() -> None:
    rate = Rate(lambda: 10)
    assert not any(rate.is_slow(second, second * 9) for second in range(20))
    rate.restart()
    answers = [rate.is_slow(second, second * 4) for second in range(20)]
    assert answers[:5] == [False] * 5
    assert answers[-1]


def test_a_slow_camera_must_come_clearly_back_to_its_rate() -> None:
    rate, captured = Rate(lambda: 10), 0
    told = []
    for second in range(60):
        told.append(rate.is_slow(second, captured))
        captured += 4 if second < 20 else 6 if second < 40 else 9
    assert (told[19], told[39], told[59]) == (True, True, False)


def test_a_slow_source_is_judged_over_five_of_its_frames() -> None:
    rate = Rate(lambda: 0.1)
    assert not any(rate.is_slow(second, second // 10) for second in range(200))
    assert Rate(lambda: 0.1).is_slow(0, 0) is False


def test_a_rate_nobody_knows_is_never_slow() -> None:
    rate = Rate(lambda: None)
    assert not any(rate.is_slow(second, 0) for second in range(100))


def test_back_off_doubles_with_jitter_up_to_a_limit_and_never_ends() -> None:
    backoff = Backoff(timedelta(seconds=1), timedelta(seconds=8), random.Random(1))
    delays = [backoff.next().total_seconds() for _ in range(100)]
    for delay, whole in zip(delays, [1, 2, 4, *[8] * 97], strict=True):
        assert whole / 2 <= delay <= whole
    assert len(set(delays)) == 100
    backoff.reset()
    assert backoff.next().total_seconds() <= 1


def test_a_pacer_keeps_its_rate_and_never_bursts() -> None:
    clock, stop = ManualClock(), threading.Event()
    pacer = Pacer(4, clock)
    for _ in range(9):
        assert not pacer.wait(stop)
    assert clock.monotonic() == pytest.approx(2.0)
    clock.advance(timedelta(seconds=10))
    before = clock.monotonic()
    pacer.wait(stop)
    pacer.wait(stop)
    assert clock.monotonic() - before == pytest.approx(0.25)


def test_a_pacer_without_a_rate_only_looks_at_stop() -> None:
    clock, stop = ManualClock(), threading.Event()
    assert not Pacer(0, clock).wait(stop)
    stop.set()
    assert Pacer(None, clock).wait(stop)


def test_a_rate_that_is_known_only_later_counts_from_then_on() -> None:
    known: list[float] = []
    rate = Rate(lambda: known[0] if known else None)
    assert not any(rate.is_slow(second, second * 4) for second in range(20))
    known.append(10)
    assert any(rate.is_slow(second, second * 4) for second in range(20, 40))
