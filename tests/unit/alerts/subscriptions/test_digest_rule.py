"""When a digest is due."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from alerts.subscriptions.digest_rule import DigestRule
from tests.support.alert_outbox import an_alert

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
VIENNA = ZoneInfo("Europe/Vienna")


def a_rule(**fields: Any) -> DigestRule:
    return DigestRule.model_validate({"every": "15m", **fields})


def test_a_rule_is_written_as_it_was_said() -> None:
    rule = a_rule(every="2d", at={"time": "07:00", "zone": "Europe/Vienna"}, immediate_from="critical")
    assert DigestRule.read(rule.model_dump_json().encode()) == rule
    assert rule.model_dump(mode="json")["every"] == "2d"
    assert a_rule(every=5400).model_dump(mode="json")["every"] == "90m"


@pytest.mark.parametrize(
    "wrong",
    [
        {"every": "14m"},
        {"every": "8d"},
        {"every": "soon"},
        {"every": "1000.5s"},
        {"every": "PT1H"},
        {"every": True},
        {"every": "1h", "at": {"time": "07:00", "zone": "Europe/Vienna"}},
        {"every": "1d", "at": {"time": "07:00", "zone": "Nowhere"}},
        {"every": "1d", "at": {"time": "07:00+02:00", "zone": "Europe/Vienna"}},
        {"immediate_from": "huge"},
    ],
)
def test_a_rule_that_does_not_fit_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        a_rule(**wrong)


def test_a_daily_digest_comes_at_its_hour_on_both_sides_of_a_change_to_summer_time() -> None:
    rule = a_rule(every="1d", at={"time": "07:00", "zone": "Europe/Vienna"})
    end, found = datetime(2026, 3, 27, 9, tzinfo=UTC), []
    for _ in range(3):
        end = rule.end_of_span(end)
        found.append(end)
    assert [one.astimezone(VIENNA).time() for one in found] == [time(7)] * 3
    assert [one.astimezone(VIENNA).day for one in found] == [28, 29, 30]
    assert found[1] - found[0] == timedelta(hours=23)


@given(
    days=st.integers(1, 7),
    minute=st.integers(0, 24 * 60 - 1),
    zone=st.sampled_from(["Europe/Vienna", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]),
    since=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
)
@settings(max_examples=300, deadline=None)
def test_a_span_ends_later_and_within_its_days_and_one_more(
    days: int, minute: int, zone: str, since: datetime
) -> None:
    at = {"time": f"{minute // 60:02}:{minute % 60:02}", "zone": zone}
    rule = a_rule(every=f"{days}d", at=at)
    end = rule.end_of_span(since)
    assert since < end <= since + (days + 1) * DAY
    following = rule.end_of_span(end)
    assert abs(following - end - days * DAY) <= timedelta(hours=2)  # a change of the clock


@given(st.integers(0, 10_000), st.integers(15, 7 * 24 * 60))
def test_after_an_outage_one_digest_tells_of_all_spans_and_the_next_begins_where_it_would_have(
    minutes: int, every: int
) -> None:
    rule, begin = a_rule(every=f"{every}m"), datetime(2026, 1, 1, tzinfo=UTC)
    end = rule.last_end(begin, begin + minutes * MINUTE)
    if minutes < every:
        assert end is None
    else:
        assert end is not None
        assert end <= begin + minutes * MINUTE < rule.end_of_span(end)
        assert (end - begin) % rule.every == timedelta(0)


def test_what_is_serious_enough_waits_for_no_digest() -> None:
    assert not a_rule().is_told_at_once(an_alert(severity="critical"))
    assert a_rule(immediate_from="critical").is_told_at_once(an_alert(severity="critical"))
    assert not a_rule(immediate_from="critical").is_told_at_once(an_alert(severity="warning"))
    assert a_rule(immediate_from="warning").is_told_at_once(an_alert(severity="critical"))
