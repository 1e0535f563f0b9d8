"""The demonstration's endpoint believes what the sender of alerts signs, and nothing else."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from standardwebhooks import Webhook

from steadyline.contracts.alert import Alert
from steadyline.demo.alerting import capture_to_alert
from steadyline.demo.promises import broken_promises, late
from steadyline.demo.webhooks import FRESH, AlertEndpoint, TakenAlert, is_signed
from tests.support.alert_outbox import an_alert

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BODY = json.dumps({"data": an_alert().model_dump(mode="json")}).encode()


def signed(body: bytes = BODY, at: datetime = NOON, id: str = "one") -> dict[str, str]:
    """What the sender's library makes of it."""
    mark = Webhook(SECRET).sign(msg_id=id, timestamp=at, data=body.decode())
    return {"webhook-id": id, "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": mark}


@pytest.fixture
def endpoint() -> Iterator[AlertEndpoint]:
    made = AlertEndpoint()
    yield made
    made.close()


def post(endpoint: AlertEndpoint, headers: dict[str, str], body: bytes = BODY) -> int:
    try:
        with urlopen(Request(endpoint.url, body, headers), timeout=30) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code


def test_a_signature_of_the_library_is_right_and_one_of_several_is_enough() -> None:
    headers = signed()
    assert is_signed(SECRET, headers, BODY, NOON)
    more = {**headers, "webhook-signature": "v1,AAAA v2,x " + headers["webhook-signature"]}
    assert is_signed(SECRET, more, BODY, NOON + timedelta(minutes=1))


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": "two"},
        {"webhook-timestamp": str(int(NOON.timestamp()) + 1)},
        {"webhook-timestamp": "soon"},
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": ""},
        {"webhook-signature": signed()["webhook-signature"].replace("v1", "v2")},
    ],
)
def test_a_request_that_was_changed_is_not_believed(changed: dict[str, str]) -> None:
    assert not is_signed(SECRET, {**signed(), **changed}, BODY, NOON)


def test_another_body_another_secret_and_an_old_request_are_not_believed() -> None:
    assert not is_signed(SECRET, signed(), BODY + b" ", NOON)
    assert not is_signed("whsec_" + base64.b64encode(b"l" * 32).decode(), signed(), BODY, NOON)
    assert not is_signed(SECRET, signed(), BODY, NOON + FRESH + timedelta(seconds=1))
    assert not is_signed(SECRET, {}, BODY, NOON)


def test_an_endpoint_takes_what_is_signed_once_it_has_the_secret(endpoint: AlertEndpoint) -> None:
    now = datetime.now(UTC)
    assert post(endpoint, signed(at=now)) == 401
    endpoint.secret = SECRET
    assert post(endpoint, signed(at=now)) == 204
    assert post(endpoint, {**signed(at=now), "webhook-id": "forged"}) == 401
    nothing = b"{}"
    assert post(endpoint, signed(nothing, now), nothing) == 400
    assert [(one.delivery, one.alert) for one in endpoint.taken] == [("one", an_alert())]
    assert endpoint.refused == 3


def taken(delivery: str, milliseconds: int, alert: Alert) -> TakenAlert:
    return TakenAlert(delivery, alert.at + timedelta(milliseconds=milliseconds), alert)


def test_the_time_from_capture_counts_the_first_coming_of_what_opened_an_anomaly() -> None:
    alert = an_alert()
    found = [taken("a", 100, alert), taken("b", 300, alert), taken("a", 9_000, alert)]
    found += [
        taken("c", 9_000, an_alert(change="resolved")),
        taken("d", 9_000, an_alert(kind="camera_down", anomaly=None)),
    ]
    assert capture_to_alert(found) == {"count": 2, "fastest": 100.0, "p50": 300.0, "p99": 300.0}
    assert capture_to_alert([]) == {"count": 0, "fastest": None, "p50": None, "p99": None}


KEPT: dict[str, dict[str, Any]] = {
    "accounting": {"missing": 0, "doubled": 0, "out_of_order": 0},
    "alerts": {
        "deliveries": 3,
        "deliveries_by_state": {"delivered": 3},
        "webhook_refused": 0,
        "capture_to_alert_ms": {"count": 2, "fastest": 100.0, "p50": 200.0, "p99": 9_000.0},
        "camera_unplugged": "west-1",
        "camera_down_seconds": 5.0,
        "camera_back_seconds": 4.0,
    },
}


def test_a_run_that_kept_its_promises_has_broken_none() -> None:
    assert broken_promises(KEPT) == []


@pytest.mark.parametrize(
    ("part", "changed", "said"),
    [
        ("accounting", {"missing": 2}, "2 frames are missing"),
        ("accounting", {"out_of_order": 1}, "1 frames are out of order"),
        ("alerts", {"capture_to_alert_ms": {"count": 0, "fastest": None}}, "no webhook"),
        ("alerts", {"camera_down_seconds": None, "camera_back_seconds": None}, "nothing was alerted"),
        ("alerts", {"camera_back_seconds": None}, "not resolved when it was back"),
        ("alerts", {"webhook_refused": 1}, "no right signature"),
        ("alerts", {"deliveries_by_state": {"delivered": 2, "dead": 1}}, "1 deliveries did not arrive"),
    ],
)
def test_each_broken_promise_is_said_once(part: str, changed: dict[str, object], said: str) -> None:
    broken = broken_promises({**KEPT, part: {**KEPT[part], **changed}})
    assert len(broken) == 1
    assert said in broken[0]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"capture_to_alert_ms": {"count": 1, "fastest": 2_001.0}}, "2001.0"),
        ({"camera_down_seconds": 10.5}, "alerted after 10.5 s"),
    ],
)
def test_what_took_too_long_is_said_and_is_no_failure(changed: dict[str, Any], said: str) -> None:
    slow = {**KEPT, "alerts": {**KEPT["alerts"], **changed}}
    assert broken_promises(slow) == late(KEPT) == []
    (sentence,) = late(slow)
    assert said in sentence
