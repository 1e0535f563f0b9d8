"""What a process says of itself."""

from datetime import timedelta

from steadyline.clock import ManualClock
from steadyline.telemetry.health import ServiceHealth


def test_a_process_lives_while_its_loop_turns() -> None:
    clock = ManualClock()
    health = ServiceHealth(clock)
    clock.advance(timedelta(seconds=29))
    assert health.live()[0]
    health.beat()
    clock.advance(timedelta(seconds=29))
    assert health.live()[0]


def test_a_silent_loop_is_not_alive_and_says_for_how_long() -> None:
    clock = ManualClock()
    health = ServiceHealth(clock)
    clock.advance(timedelta(seconds=31))
    assert health.live() == (False, {"live": False, "silent": ["main"], "silence_seconds": {"main": 31.0}})


def test_a_task_that_hangs_is_named_however_well_the_others_turn() -> None:
    clock = ManualClock()
    health = ServiceHealth(clock)
    health.beat("updater")
    health.beat("lag", within=timedelta(minutes=5))
    for _ in range(4):
        clock.advance(timedelta(seconds=10))
        health.beat()
    ok, body = health.live()
    assert not ok
    assert body["silent"] == ["updater"]
    assert body["silence_seconds"] == {"main": 0.0, "updater": 40.0, "lag": 40.0}
    health.beat("updater")
    assert health.live()[0]


def test_a_task_that_has_ended_in_order_is_not_missed() -> None:
    clock = ManualClock()
    health = ServiceHealth(clock)
    health.beat("training")
    health.forget("training")
    health.forget("never-began")
    clock.advance(timedelta(seconds=31))
    health.beat()
    assert health.live()[0]


def test_nothing_is_ready_before_the_first_part_says_so() -> None:
    assert ServiceHealth(ManualClock()).ready() == (
        False,
        {"ready": False, "waiting_for": {"start": "still starting"}},
    )


def test_readiness_gives_the_reason_of_each_part_that_waits() -> None:
    health = ServiceHealth(ManualClock())
    health.set_ready("kafka", True)
    health.set_ready("model", False, "no_live_model")
    assert health.ready() == (False, {"ready": False, "waiting_for": {"model": "no_live_model"}})
    health.set_ready("model", True)
    assert health.ready() == (True, {"ready": True, "waiting_for": {}})
