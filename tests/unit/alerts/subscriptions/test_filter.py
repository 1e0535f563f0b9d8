"""Which alerts a subscription is told of."""

from datetime import UTC, datetime, time
from typing import Any

import pytest
from pydantic import ValidationError

from alerts.subscriptions.channel import WebhookChannel
from alerts.subscriptions.filter import SubscriptionFilter
from alerts.subscriptions.notify_hours import NotifyHours
from tests.support.alert_outbox import an_alert


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_an_empty_filter_takes_everything() -> None:
    assert SubscriptionFilter().matches(an_alert())
    assert SubscriptionFilter().matches(an_alert(kind="no_scores", camera=None, product=None, anomaly=None))


@pytest.mark.parametrize(
    ("condition", "is_taken"),
    [
        ({"products": ["cell"]}, True),
        ({"products": ["wafer"]}, False),
        ({"cameras": ["west-*", "east-?"]}, True),
        ({"cameras": ["EAST-*"]}, False),
        ({"kinds": ["anomaly"]}, True),
        ({"kinds": ["camera_down"]}, False),
        ({"least_severity": "warning"}, True),
        ({"least_severity": "critical"}, False),
        ({"changes": ["opened", "risen"]}, True),
        ({"changes": ["resolved"]}, False),
        ({"products": ["cell"], "cameras": ["west-*"]}, False),
    ],
)
def test_each_condition_must_hold(condition: dict[str, Any], is_taken: bool) -> None:
    assert SubscriptionFilter.model_validate(condition).matches(an_alert()) is is_taken


def test_an_incident_of_no_camera_is_of_none_that_is_named() -> None:
    assert not SubscriptionFilter(cameras=["*"]).matches(an_alert(camera=None))
    assert not SubscriptionFilter(products=["cell"]).matches(an_alert(product=None))


def test_a_mistyped_condition_is_refused_and_not_taken_for_none() -> None:
    with pytest.raises(ValidationError):
        SubscriptionFilter.model_validate({"camera": ["east-1"]})


def test_hours_are_those_of_their_zone_also_when_its_clocks_change() -> None:
    hours = NotifyHours(zone="Europe/Vienna", start=time(8), end=time(16))
    assert hours.includes(at("2026-01-15 07:00"))  # 08:00 in winter
    assert not hours.includes(at("2026-01-15 06:59"))
    assert hours.includes(at("2026-07-15 06:00"))  # 08:00 in summer
    assert not hours.includes(at("2026-07-15 14:00"))


def test_a_night_shift_belongs_to_the_day_on_which_it_begins() -> None:
    night = NotifyHours(zone="UTC", weekdays=frozenset({"fri"}), start=time(22), end=time(6))
    assert night.includes(at("2026-01-02 22:00"))  # a Friday
    assert night.includes(at("2026-01-03 05:59"))
    assert not night.includes(at("2026-01-03 06:00"))
    assert not night.includes(at("2026-01-02 05:00"))
    assert not night.includes(at("2026-01-03 23:00"))


def test_hours_that_end_where_they_begin_are_the_whole_day() -> None:
    monday = NotifyHours(zone="UTC", weekdays=frozenset({"mon"}))
    assert monday.includes(at("2026-01-05 00:00"))
    assert monday.includes(at("2026-01-05 23:59"))
    assert not monday.includes(at("2026-01-06 00:00"))


@pytest.mark.parametrize("zone", ["Vienna", "../etc/passwd", "", "Europe", "/etc/localtime"])
def test_a_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(ValidationError):
        NotifyHours(zone=zone)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://plant.example/x",
        "file:///etc/passwd",
        "http:///x",
        "plant.example/x",
        "https://ann:secret@plant.example/x",
        "https://plant.example/x\r\nEvil: 1",
        "https://plant.example/a b",
        "https://plänt.example/",
        "https://plant.example:99999/",
        "https://plant.example:0/",
        "https://plant.example\\@evil.example/",
        "https://plant.example/x#y",
        "https://[::1/",
        "https://" + "a" * 2_100,
    ],
)
def test_an_address_that_is_no_plain_one_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        WebhookChannel(url=url)


@pytest.mark.parametrize(
    "url", ["http://10.0.0.5:8080/hook?x=1", "https://plant.example", "https://[::1]:9/"]
)
def test_a_plain_address_is_taken_as_it_is(url: str) -> None:
    assert WebhookChannel(url=url).url == url
