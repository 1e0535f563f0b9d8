"""Subscriptions and deliveries over the API."""

from typing import Any

import pytest

from alerts.database.audit_store import AuditFilter
from tests.support.alerts_api import ApiUnderTest, reason_of

AT = "/api/v1/subscriptions"
HOOK: dict[str, Any] = {
    "name": "night shift",
    "filter": {"cameras": ["east-*"]},
    "channel": {"kind": "webhook", "url": "https://example.org/hook"},
}


def test_a_subscription_shows_its_secret_once(api: ApiUnderTest) -> None:
    engineer = api.as_("engineer", Idempotency_Key="s-1")
    made = api.client.post(AT, json=HOOK, headers=engineer)
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    secret, own = made.json()["secret"], made.json()["subscription"]
    assert (own["owner"], own["name"], own["enabled"]) == ("the engineer", "night shift", True)
    again = api.client.post(AT, json=HOOK, headers=engineer)
    assert again.json() == {"subscription": own, "secret": None}
    assert len(api.client.get(AT, headers=engineer).json()["items"]) == 1
    assert secret not in api.client.get(AT, headers=engineer).text
    assert secret not in api.client.get(f"{AT}/{own['id']}", headers=engineer).text


def test_a_subscription_by_digest_shows_its_rule_as_it_was_said(api: ApiUnderTest) -> None:
    rule = {"every": "1d", "at": {"time": "07:00:00", "zone": "Europe/Vienna"}, "immediate_from": "critical"}
    engineer = api.as_("engineer")
    made = api.client.post(AT, json={**HOOK, "digest": rule}, headers=engineer).json()["subscription"]
    assert made["digest"] == rule
    assert api.client.get(f"{AT}/{made['id']}", headers=engineer).json()["digest"] == rule
    api.open_incident()
    assert api.client.get("/api/v1/deliveries", headers=engineer).json()["items"] == []


def test_one_key_of_two_people_is_two_keys(api: ApiUnderTest) -> None:
    for _ in range(2):
        api.client.post(AT, json=HOOK, headers=api.as_("engineer", Idempotency_Key="same"))
    assert len(api.client.get(AT, headers=api.as_("engineer")).json()["items"]) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"channel": {"kind": "pigeon"}},
        {"channel": {"kind": "webhook", "url": "javascript:alert(1)"}},
        {"name": ""},
        {"name": "a\nb"},
        {"name": "x" * 201},
        {"owner": "somebody else"},
        {"filter": {"kinds": ["nothing"]}},
        {"digest": {"every": "1m"}},
        {"digest": {"every": "1h", "at": {"time": "07:00", "zone": "Europe/Vienna"}}},
    ],
)
def test_a_subscription_that_does_not_fit_is_refused(api: ApiUnderTest, change: dict[str, Any]) -> None:
    answer = api.client.post(AT, json={**HOOK, **change}, headers=api.as_("engineer"))
    assert (answer.status_code, reason_of(answer)) == (422, "invalid_request")


def test_only_what_was_read_is_changed(api: ApiUnderTest) -> None:
    engineer = api.as_("engineer")
    made = api.client.post(AT, json=HOOK, headers=engineer)
    at = f"{AT}/{made.json()['subscription']['id']}"
    edit = {**HOOK, "enabled": False}
    blind = api.client.put(at, json=edit, headers=engineer)
    assert (blind.status_code, reason_of(blind)) == (428, "precondition_required")
    first = api.client.put(at, json=edit, headers=engineer | {"If-Match": made.headers["etag"]})
    assert (first.status_code, first.headers["etag"], first.json()["enabled"]) == (200, '"2"', False)
    late = api.client.put(at, json=HOOK, headers=engineer | {"If-Match": made.headers["etag"]})
    assert (late.status_code, reason_of(late)) == (412, "changed_meanwhile")
    late = api.client.delete(at, headers=engineer | {"If-Match": made.headers["etag"]})
    assert (late.status_code, reason_of(late)) == (412, "changed_meanwhile")
    assert api.client.get(at, headers=engineer).headers["etag"] == '"2"'
    gone = api.client.delete(at, headers=engineer | {"If-Match": '"2"'})
    assert (gone.status_code, gone.content) == (204, b"")
    assert reason_of(api.client.get(at, headers=engineer)) == "no_such_subscription"
    with api.database.transaction() as session:
        acts = api.api.stores.audit.page(session, AuditFilter(), None, 10)
    assert [one.act for one in acts] == [f"subscription.{act}" for act in ("delete", "replace", "create")]


def test_a_sample_is_sent_and_its_outcome_told(api: ApiUnderTest) -> None:
    engineer = api.as_("engineer")
    own = api.client.post(AT, json=HOOK, headers=engineer).json()["subscription"]["id"]
    answer = api.client.post(f"{AT}/{own}/test", headers=engineer)
    assert answer.json() == {
        **{"outcome": "delivered", "status": 204, "reason": None, "milliseconds": 31, "answer_head": None}
    }
    assert api.samples.sent == [own]
    nobody = api.client.post(f"{AT}/{'0' * 32}/test", headers=engineer)
    assert (reason_of(nobody), api.samples.sent) == ("no_such_subscription", [own])


def test_deliveries_are_listed_filtered_and_inspected(api: ApiUnderTest) -> None:
    engineer = api.as_("engineer")
    own = api.client.post(AT, json=HOOK, headers=engineer).json()["subscription"]["id"]
    for number in range(1, 6):
        api.add_delivery(number, own, "dead" if number == 3 else "delivered")
    seen: list[int] = []
    cursor = ""
    while not seen or cursor:
        page = api.client.get(f"/api/v1/deliveries?limit=2{cursor}", headers=engineer).json()
        seen += [int(one["id"], 16) for one in page["items"]]
        cursor = f"&cursor={page['next']}" if page["next"] else ""
    assert seen == [5, 4, 3, 2, 1]
    dead = api.client.get("/api/v1/deliveries?state=dead", headers=engineer).json()["items"]
    assert [int(one["id"], 16) for one in dead] == [3]
    one = api.client.get(f"/api/v1/deliveries/{dead[0]['id']}", headers=engineer).json()
    assert (one["last_status"], one["last_milliseconds"], one["answer_head"]) == (200, 12, "thanks")
    assert reason_of(api.client.get(f"/api/v1/deliveries/{'f' * 32}", headers=engineer)) == "no_such_delivery"


def test_one_delivery_and_a_span_of_time_are_sent_again(api: ApiUnderTest) -> None:
    engineer = api.as_("engineer", Idempotency_Key="again")
    own = api.client.post(AT, json=HOOK, headers=api.as_("engineer")).json()["subscription"]["id"]
    row = api.add_delivery(1, own)
    for _ in range(2):
        answer = api.client.post(f"/api/v1/deliveries/{row.id}/redeliver", headers=engineer)
        assert (answer.status_code, answer.json()["id"]) == (202, row.id)
    again = api.client.get(f"/api/v1/deliveries/{row.id}", headers=engineer).json()
    assert again["state"] == "pending"
    nothing = api.client.post(f"/api/v1/deliveries/{'f' * 32}/redeliver", headers=api.as_("engineer"))
    assert reason_of(nothing) == "no_such_delivery"
    span = {"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}
    answer = api.client.post(f"{AT}/{own}/replay", json=span, headers=api.as_("engineer"))
    assert (answer.status_code, answer.json()) == (202, {"deliveries": 1})
    beyond = {**span, "until": "9999-12-31T23:59:59-12:00"}
    answer = api.client.post(f"{AT}/{own}/replay", json=beyond, headers=api.as_("engineer"))
    assert (answer.status_code, reason_of(answer)) == (422, "invalid_request")
