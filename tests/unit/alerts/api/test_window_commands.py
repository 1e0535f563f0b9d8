"""``steadyline alerts windows`` and ``why`` against a served API."""

import json
from datetime import timedelta

import pytest

from steadyline.service import EXIT_USAGE
from tests.support.alerts_api import BEGIN, ApiUnderTest
from tests.support.served_api import Say


def test_a_window_is_added_listed_ended_and_removed(api: ApiUnderTest, say: Say) -> None:
    when = ("--start", "2026-01-01T02:00:00", "--for", "1h", "--zone", "Europe/Vienna")
    added = say("windows", "add", "oil change", *when, "--rule", "FREQ=DAILY", "--camera", "east-*")
    assert "next at 2026-01-01T01:00:00Z" in added
    own = added.split()[0]
    listed = say("windows", "list")
    assert own in listed
    assert "east-*" in listed
    assert "(window_not_in_force)" in say("windows", "end", own, status=EXIT_USAGE)
    later = say("windows", "add", "shift", "--start", "2026-02-01T00:00:00", "--for", "30m").split()[0]
    assert "is removed" in say("windows", "remove", later)
    api.clock.set(BEGIN + timedelta(minutes=90))
    assert json.loads(say("windows", "list", "--json"))[0]["in_force"] is True
    assert "is over" in say("windows", "end", own)
    assert "(window_not_settled)" in say("windows", "remove", own, status=EXIT_USAGE)


@pytest.mark.parametrize("duration", ["soon", "90s", "0m"])
def test_a_duration_that_is_none_is_refused_before_anything_is_asked(say: Say, duration: str) -> None:
    told = say("windows", "add", "x", "--start", "2026-01-01", "--for", duration, status=EXIT_USAGE)
    assert "--for" in told


def test_why_tells_each_change_and_each_subscription(api: ApiUnderTest, say: Say) -> None:
    channel = {"kind": "webhook", "url": "https://example.org/hook"}
    body = {"name": "night shift", "channel": channel, "filter": {"products": ["panel"]}}
    api.client.post("/api/v1/subscriptions", json=body, headers=api.as_("engineer"))
    api.clock.advance(timedelta(seconds=1))
    incident = api.open_incident()
    told = say("why", incident.id)
    assert "opened: 3 of the last 5 frames (notified)" in told
    assert "night shift" in told
    assert "the filter does not name its product" in told
    assert json.loads(say("why", incident.id, "--json"))["incident"] == incident.id
