"""Rules by which windows recur: which are taken, and that a question about one is answered from close by."""

from datetime import datetime, timedelta

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given
from hypothesis import strategies as st

from alerts.windows.recurrence import Recurrence
from tests.support.rule_steps import rule_steps

FIRST = datetime(2026, 1, 5, 22, 30)  # a Monday

TAKEN = [
    "FREQ=HOURLY",
    "FREQ=HOURLY;INTERVAL=7",
    "FREQ=DAILY",
    "FREQ=DAILY;INTERVAL=3;BYHOUR=6,14,22",
    "FREQ=DAILY;BYDAY=SA,SU;BYHOUR=2;BYMINUTE=15",
    "FREQ=WEEKLY;BYDAY=SU,WE",
    "FREQ=WEEKLY;INTERVAL=3;BYDAY=MO,SU;WKST=SU",
    "FREQ=MONTHLY",
    "FREQ=MONTHLY;BYMONTHDAY=-1,1",
    "FREQ=MONTHLY;BYDAY=1MO,-1FR",
    "FREQ=MONTHLY;INTERVAL=5;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
    "FREQ=YEARLY",
    "FREQ=YEARLY;INTERVAL=4",
    "FREQ=DAILY;COUNT=40",
    "FREQ=WEEKLY;BYDAY=SU;UNTIL=20270101T000000",
    "FREQ=WEEKLY;BYDAY=SU;UNTIL=20260201",
]


@pytest.mark.parametrize("rule", TAKEN)
@given(hours=st.integers(-50, 6 * 366 * 24))
def test_what_was_last_and_what_is_next_is_as_if_counted_from_the_start(rule: str, hours: int) -> None:
    moment = FIRST + timedelta(hours=hours)
    plain = rrulestr(rule.replace("UNTIL=20260201", "UNTIL=20260201T235959"), dtstart=FIRST)
    recurrence = Recurrence(FIRST, rule)
    assert recurrence.last(moment) == plain.before(moment, inc=True)
    assert recurrence.next(moment) == plain.after(moment)


def test_without_a_rule_it_begins_once() -> None:
    once = Recurrence(FIRST)
    assert once.last(FIRST - timedelta(seconds=1)) is None
    assert once.next(FIRST - timedelta(days=400)) == FIRST
    assert once.last(datetime(2150, 1, 1)) == FIRST
    assert once.next(FIRST) is None
    assert once.shortest_gap() is None


def test_a_rule_that_has_run_for_a_century_is_answered_from_close_by() -> None:
    hourly = Recurrence(datetime(2000, 1, 1), "FREQ=HOURLY")
    with rule_steps() as steps:
        assert hourly.next(datetime(2140, 6, 1, 12, 30)) == datetime(2140, 6, 1, 13)
        assert hourly.last(datetime(2140, 6, 1, 12, 30)) == datetime(2140, 6, 1, 12)
    assert steps.taken < 100


@pytest.mark.parametrize("rule", [*TAKEN, "FREQ=HOURLY;COUNT=1000", None])
def test_what_was_last_is_worked_out_once_an_hour_however_often_it_is_asked(rule: str | None) -> None:
    recurrence, begin = Recurrence(FIRST, rule), FIRST + timedelta(days=30)
    recurrence.last(begin)
    with rule_steps() as steps:
        for second in range(0, 1_700, 17):  # to the end of the hour
            recurrence.last(begin + timedelta(seconds=second))
    assert steps.taken == 0


def test_a_rule_of_a_thousand_begins_is_worked_out_once() -> None:
    counted = Recurrence(FIRST, "FREQ=HOURLY;COUNT=1000")
    counted.last(FIRST)
    with rule_steps() as steps:
        for hour in range(1_000):
            moment = FIRST + timedelta(hours=hour, minutes=1)
            assert counted.last(moment) == FIRST + timedelta(hours=hour)
            assert counted.next(moment) == (FIRST + timedelta(hours=hour + 1) if hour < 999 else None)
    assert steps.taken == 0


def test_how_far_the_begins_of_a_rule_are_apart_is_worked_out_once() -> None:
    yearly = Recurrence(FIRST, "FREQ=YEARLY;INTERVAL=3")
    yearly.shortest_gap()
    with rule_steps() as steps:
        assert yearly.shortest_gap() == timedelta(days=3 * 365)
    assert steps.taken == 0


@pytest.mark.parametrize(
    "rule",
    [
        "",
        ";",
        "FREQ",
        "FREQ=",
        "INTERVAL=2",
        "FREQ=MINUTELY",
        "FREQ=SECONDLY",
        "FREQ=DAILY;FREQ=DAILY",
        "FREQ=DAILY;BYMINUTE=0,30",
        "FREQ=DAILY;BYSECOND=1",
        "FREQ=HOURLY;BYDAY=MO",
        "FREQ=HOURLY;INTERVAL=0",
        "FREQ=HOURLY;INTERVAL=-1",
        "FREQ=DAILY;INTERVAL=9999999999",
        "FREQ=DAILY;INTERVAL=7;BYDAY=TU",  # from a Monday on: never
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=YEARLY;BYWEEKNO=53",
        "FREQ=YEARLY;BYEASTER=1",
        "FREQ=WEEKLY;BYDAY=1MO",
        "FREQ=MONTHLY;BYDAY=5MO",
        "FREQ=MONTHLY;BYDAY=1MO,TU",
        "FREQ=MONTHLY;BYDAY=XX",
        "FREQ=MONTHLY;BYMONTHDAY=31",
        "FREQ=MONTHLY;BYMONTHDAY=0",
        "FREQ=MONTHLY;BYMONTHDAY=1;BYDAY=MO",
        "FREQ=MONTHLY;BYSETPOS=1",
        "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=366",
        "FREQ=DAILY;BYHOUR=24",
        "FREQ=DAILY;BYHOUR=-1",
        "FREQ=DAILY;COUNT=100000",
        "FREQ=DAILY;COUNT=2;UNTIL=20270101",
        "FREQ=DAILY;UNTIL=20271301",
        "FREQ=DAILY;UNTIL=20270101T000000Z",
        "FREQ=DAILY;WKST=1",
        "FREQ=DAILY;BYHOUR=١",
        "FREQ=DAILY;" + "X" * 300,
    ],
)
def test_a_rule_that_is_none_or_could_take_long_is_refused(rule: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Recurrence(FIRST, rule).check()


@pytest.mark.parametrize(
    ("first", "rule"),
    [(datetime(2026, 1, 31), "FREQ=MONTHLY"), (datetime(2028, 2, 29), "FREQ=YEARLY")],
)
def test_a_start_on_a_day_that_is_not_always_there_is_refused(first: datetime, rule: str) -> None:
    with pytest.raises(ValueError, match="no such day"):
        Recurrence(first, rule).check()


def test_the_shortest_gap_is_that_of_any_two() -> None:
    assert Recurrence(FIRST, "FREQ=WEEKLY;BYDAY=SA,SU").shortest_gap() == timedelta(days=1)
    assert Recurrence(FIRST, "FREQ=DAILY;BYHOUR=6,14").shortest_gap() == timedelta(hours=8)
