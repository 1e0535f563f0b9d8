"""Channels whose secret is their own: it goes in, and never comes out again."""

from typing import Any

import pytest

from tests.support.alerts_api import ApiUnderTest, reason_of

AT = "/api/v1/subscriptions"
MQTT: dict[str, Any] = {"kind": "mqtt", "url": "mqtts://broker.example", "user": "line", "password": "s3cret"}
SLACK: dict[str, Any] = {"kind": "apprise", "url": "slack://T1JJ3T3L2/A1BRTD4JD/s3cretdnlazkcOXrIdevi7FQ"}


@pytest.mark.parametrize("channel", [MQTT, SLACK])
def test_a_channel_s_own_secret_is_kept_and_not_shown(api: ApiUnderTest, channel: dict[str, Any]) -> None:
    engineer = api.as_("engineer", Idempotency_Key="once")
    made = api.client.post(AT, json={"name": "plant", "channel": channel}, headers=engineer)
    assert made.status_code == 201
    assert "s3cret" in made.json()["secret"]
    own = made.json()["subscription"]
    assert "s3cret" not in str(own)
    again = api.client.post(AT, json={"name": "plant", "channel": channel}, headers=engineer)
    assert "s3cret" not in again.text
    kept = api.client.put(
        f"{AT}/{own['id']}",
        json={"name": "renamed", "channel": own["channel"]},
        headers=api.as_("engineer") | {"If-Match": made.headers["etag"]},
    )
    assert (kept.status_code, kept.json()["channel"]) == (200, own["channel"])
    assert "s3cret" not in api.client.get(AT, headers=api.as_("engineer")).text


def test_an_address_of_apprise_is_known_by_its_service(api: ApiUnderTest) -> None:
    made = api.client.post(AT, json={"name": "plant", "channel": SLACK}, headers=api.as_("engineer"))
    assert made.json()["subscription"]["channel"] == {
        "kind": "apprise",
        "url": None,
        "service": "slack",
        "pictures": False,
    }


@pytest.mark.parametrize(
    "channel",
    [
        {"kind": "apprise"},
        {"kind": "apprise", "service": "slack"},
        {"kind": "apprise", "url": SLACK["url"], "service": "discord"},
        {"kind": "apprise", "url": "file:///etc/passwd?s3cret"},
        {**MQTT, "url": "mqtt://line:s3cret@broker.example"},
        {**MQTT, "url": "https://broker.example"},
        {**MQTT, "url": "mqtt://broker.example/topic"},
        {**MQTT, "url": "mqtt://broker.example:0"},
        {**MQTT, "url": "mqtt://broker.example:99999"},
        {**MQTT, "prefix": "a/#"},
        {**MQTT, "prefix": "/a"},
        {**MQTT, "prefix": "$SYS"},
        {**MQTT, "password": "s3cret\u0000"},
    ],
)
def test_a_channel_that_does_not_fit_is_refused_without_repeating_it(
    api: ApiUnderTest, channel: dict[str, Any]
) -> None:
    answer = api.client.post(AT, json={"name": "p", "channel": channel}, headers=api.as_("engineer"))
    assert (answer.status_code, reason_of(answer)) == (422, "invalid_request")
    assert "s3cret" not in answer.text


def test_a_secret_of_one_kind_of_channel_is_not_taken_for_that_of_another(api: ApiUnderTest) -> None:
    engineer = api.as_("engineer")
    made = api.client.post(AT, json={"name": "plant", "channel": SLACK}, headers=engineer)
    at, match = f"{AT}/{made.json()['subscription']['id']}", {"If-Match": made.headers["etag"]}
    for channel in (
        {"kind": "webhook", "url": "https://example.org/"},
        {"kind": "mqtt", "url": "mqtt://evil.example", "user": "x"},
        {"kind": "pagerduty", "url": "https://evil.example/"},
    ):
        edit = {"name": "plant", "channel": channel}
        answer = api.client.put(at, json=edit, headers=engineer | match)
        assert (answer.status_code, reason_of(answer)) == (422, "invalid_request")


@pytest.mark.parametrize(
    ("channel", "edit"),
    [
        (MQTT, {**MQTT, "url": "mqtt://evil.example", "password": None}),
        (MQTT, {**MQTT, "user": "other", "password": None}),
        (
            {"kind": "pagerduty", "routing_key": "s3cret"},
            {"kind": "pagerduty", "url": "https://evil.example/"},
        ),
        (
            {"kind": "pagerduty", "routing_key": "whsec_!!"},
            {"kind": "webhook", "url": "https://evil.example/"},
        ),
        (
            {"kind": "webhook", "url": "https://a.example/"},
            {"kind": "pagerduty", "url": "https://b.example/"},
        ),
    ],
)
def test_a_secret_goes_to_no_other_place_than_it_was_given_for(
    api: ApiUnderTest, channel: dict[str, Any], edit: dict[str, Any]
) -> None:
    engineer = api.as_("engineer")
    made = api.client.post(AT, json={"name": "plant", "channel": channel}, headers=engineer)
    at, match = f"{AT}/{made.json()['subscription']['id']}", {"If-Match": made.headers["etag"]}
    answer = api.client.put(at, json={"name": "plant", "channel": edit}, headers=engineer | match)
    assert (answer.status_code, reason_of(answer)) == (422, "invalid_request")


def test_a_webhook_that_moves_keeps_the_secret_that_signs(api: ApiUnderTest) -> None:
    engineer = api.as_("engineer")
    channel = {"kind": "webhook", "url": "https://a.example/"}
    made = api.client.post(AT, json={"name": "plant", "channel": channel}, headers=engineer)
    at, match = f"{AT}/{made.json()['subscription']['id']}", {"If-Match": made.headers["etag"]}
    moved = {"name": "plant", "channel": {"kind": "webhook", "url": "https://b.example/"}}
    assert api.client.put(at, json=moved, headers=engineer | match).status_code == 200
