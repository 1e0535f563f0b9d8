"""When a maintenance window is in force, and of what it is."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from alerts.windows.window import MaintenanceWindow, WindowSchedule, WindowScope, in_force
from tests.support.alert_outbox import an_alert


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def a_schedule(**fields: Any) -> WindowSchedule:
    whole = {"start": "2026-03-01T22:00:00", "duration_minutes": 120, "zone": "UTC"}
    return WindowSchedule.model_validate({**whole, **fields})


def a_window(schedule: WindowSchedule, scope: WindowScope | None = None, **fields: Any) -> MaintenanceWindow:
    whole = {"id": "a" * 32, "name": "oil", "owner": "ann", "version": 1, "created_at": at("2026-01-01")}
    return MaintenanceWindow.model_validate(
        {**whole, "scope": scope or WindowScope(), "schedule": schedule, **fields}
    )


def spans(schedule: WindowSchedule, *moments: str) -> list[str]:
    """Return begin and end of the occurrence that has begun last at each moment."""
    found = [schedule.last_begun(at(moment)) for moment in moments]
    return [f"{one.begin:%d %H:%M}–{one.end:%d %H:%M}" if one else "none" for one in found]


def test_a_window_without_a_rule_is_in_force_once() -> None:
    window = a_window(a_schedule())
    assert window.occurrence_at(at("2026-03-01 21:59:59")) is None
    assert window.occurrence_at(at("2026-03-01 22:00")) is not None
    assert window.occurrence_at(at("2026-03-01 23:59:59")) is not None
    assert window.occurrence_at(at("2026-03-02 00:00")) is None
    assert window.schedule.next_after(at("2026-03-01 22:00")) is None


def test_a_window_begins_by_the_clock_on_the_wall_in_winter_and_in_summer() -> None:
    nightly = a_schedule(zone="Europe/Vienna", rule="FREQ=DAILY")
    assert spans(nightly, "2026-03-20 22:00", "2026-04-10 21:00") == [
        "20 21:00–20 23:00",
        "10 20:00–10 22:00",
    ]
    following = nightly.next_after(at("2026-03-28 21:00"))
    assert following is not None
    assert following.begin == at("2026-03-29 20:00")  # the clocks went forward in between


def test_a_begin_that_the_clocks_leave_out_is_later_and_one_that_comes_twice_is_the_first() -> None:
    vienna = {"zone": "Europe/Vienna", "rule": "FREQ=DAILY", "duration_minutes": 60}
    spring = a_schedule(**vienna, start="2026-03-01T02:30:00")
    assert spans(spring, "2026-03-29 01:29", "2026-03-29 01:30") == ["28 01:30–28 02:30", "29 01:30–29 02:30"]
    autumn = a_schedule(**vienna, start="2026-10-01T02:30:00")
    assert spans(autumn, "2026-10-25 00:30", "2026-10-25 01:40") == ["25 00:30–25 01:30"] * 2
    assert autumn.next_after(at("2026-10-25 00:30")) == autumn.last_begun(at("2026-10-26 02:00"))


def test_a_window_lasts_so_long_whatever_the_clocks_do() -> None:
    night = a_schedule(zone="Europe/Vienna", start="2026-03-28T22:00:00", duration_minutes=480)
    assert spans(night, "2026-03-29 00:00") == ["28 21:00–29 05:00"]


def test_a_window_that_was_ended_early_is_in_force_again_the_next_time() -> None:
    window = a_window(a_schedule(rule="FREQ=DAILY"), ended_at=at("2026-03-02 22:10"))
    assert window.occurrence_at(at("2026-03-01 23:00")) is not None
    assert window.occurrence_at(at("2026-03-02 22:09")) is not None
    assert window.occurrence_at(at("2026-03-02 22:10")) is None
    assert window.occurrence_at(at("2026-03-03 23:00")) is not None
    over = window.last_over(at("2026-03-02 22:30"))
    assert over is not None
    assert (over.begin, over.end) == (at("2026-03-02 22:00"), at("2026-03-02 22:10"))


def test_the_last_that_is_over_is_not_the_one_that_is_in_force() -> None:
    window = a_window(a_schedule(rule="FREQ=DAILY"))
    over = window.last_over(at("2026-03-05 22:30"))
    assert over is not None
    assert over.begin == at("2026-03-04 22:00")
    assert window.last_over(at("2026-03-01 22:30")) is None


@pytest.mark.parametrize(
    ("scope", "is_in"),
    [
        ({}, True),
        ({"products": ["cell"]}, True),
        ({"products": ["wafer"]}, False),
        ({"cameras": ["west-*", "east-?"]}, True),
        ({"cameras": ["west-*"]}, False),
        ({"products": ["cell"], "cameras": ["west-*"]}, False),
    ],
)
def test_a_scope_holds_what_fits_all_that_it_names(scope: dict[str, Any], is_in: bool) -> None:
    window = a_window(a_schedule(), WindowScope.model_validate(scope))
    found = in_force([window], an_alert(), at("2026-03-01 23:00"))
    assert (found is not None) is is_in
    assert in_force([window], an_alert(), at("2026-03-01 12:00")) is None


def test_an_incident_of_no_camera_is_held_by_a_window_of_the_line_alone() -> None:
    about = an_alert(camera=None, product=None, anomaly=None, kind="no_scores")
    assert WindowScope().includes(about)
    assert not WindowScope(cameras=["*"]).includes(about)
    assert not WindowScope(products=["cell"]).includes(about)


@pytest.mark.parametrize(
    "fields",
    [
        {"start": "2026-03-01T22:00:00Z"},
        {"start": "2026-03-01T22:00:00.5"},
        {"start": "1999-12-31T22:00:00"},
        {"start": "9999-12-31T22:00:00"},
        {"zone": "Vienna"},
        {"duration_minutes": 0},
        {"duration_minutes": 7 * 24 * 60 + 1},
        {"rule": "FREQ=MINUTELY"},
        {"rule": "FREQ=HOURLY"},  # two hours each
        {"rule": "FREQ=DAILY;BYHOUR=6,7"},
        {"every": "day"},
    ],
)
def test_a_schedule_that_does_not_fit_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        a_schedule(**fields)
