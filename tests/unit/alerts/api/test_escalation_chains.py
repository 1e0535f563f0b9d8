"""Escalation chains over the API, and what an incident says of them."""

from datetime import timedelta
from typing import Any

import pytest

from alerts.database.audit_store import AuditFilter
from alerts.escalation.task import EscalationTask
from tests.support.alerts_api import ApiUnderTest, reason_of

AT = "/api/v1/escalation-chains"
HOOK: dict[str, Any] = {
    "name": "on call",
    "filter": {"kinds": ["lag"]},
    "channel": {"kind": "webhook", "url": "https://example.org/hook"},
}


@pytest.fixture
def own(api: ApiUnderTest) -> str:
    """The id of a subscription that wants to hear of nothing that happens here."""
    answer = api.client.post("/api/v1/subscriptions", json=HOOK, headers=api.as_("engineer"))
    return str(answer.json()["subscription"]["id"])


def a_body(own: str, **fields: Any) -> dict[str, Any]:
    steps = [{"after": "5m", "subscription": own}, {"after": "1h", "subscription": own}]
    return {"name": "night", "filter": {"cameras": ["east-*"]}, "steps": steps, **fields}


def test_a_chain_is_made_once_shown_changed_and_deleted(api: ApiUnderTest, own: str) -> None:
    engineer = api.as_("engineer", Idempotency_Key="c-1")
    made = api.client.post(AT, json=a_body(own), headers=engineer)
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    chain = made.json()
    assert (chain["name"], chain["owner"], chain["enabled"]) == ("night", "the engineer", True)
    assert [step["after"] for step in chain["steps"]] == ["5m", "1h"]
    assert api.client.post(AT, json=a_body(own), headers=engineer).json() == chain
    assert api.client.get(AT, headers=api.as_("engineer")).json()["items"] == [chain]
    at, engineer = f"{AT}/{chain['id']}", api.as_("engineer")
    assert api.client.get(at, headers=engineer).json() == chain
    blind = api.client.put(at, json=a_body(own), headers=engineer)
    assert reason_of(blind) == "precondition_required"
    edited = api.client.put(at, json=a_body(own, enabled=False), headers=engineer | {"If-Match": '"1"'})
    assert (edited.status_code, edited.headers["etag"], edited.json()["enabled"]) == (200, '"2"', False)
    late = api.client.delete(at, headers=engineer | {"If-Match": '"1"'})
    assert reason_of(late) == "changed_meanwhile"
    assert api.client.delete(at, headers=engineer | {"If-Match": '"2"'}).status_code == 204
    assert reason_of(api.client.get(at, headers=engineer)) == "no_such_chain"
    with api.database.transaction() as session:
        acts = [one.act for one in api.api.stores.audit.page(session, AuditFilter(), None, 10)]
    assert acts[:3] == ["chain.delete", "chain.replace", "chain.create"]


def test_a_chain_is_for_engineers_and_its_subscriptions_must_be_there(api: ApiUnderTest, own: str) -> None:
    assert reason_of(api.client.get(AT, headers=api.as_("operator"))) == "role_too_low"
    engineer = api.as_("engineer")
    for steps, reason in (
        ([{"after": "5m", "subscription": "f" * 32}], "unknown_subscription"),
        ([{"after": "5m", "subscription": own}] * 2, "invalid_request"),
        ([], "invalid_request"),
        ([{"after": "never", "subscription": own}], "invalid_request"),
    ):
        answer = api.client.post(AT, json=a_body(own, steps=steps), headers=engineer)
        assert (answer.status_code, reason_of(answer)) == (422, reason)


def test_a_subscription_that_a_chain_tells_is_not_deleted(api: ApiUnderTest, own: str) -> None:
    engineer = api.as_("engineer")
    chain = api.client.post(AT, json=a_body(own), headers=engineer).json()["id"]
    at = f"/api/v1/subscriptions/{own}"
    kept = api.client.delete(at, headers=engineer | {"If-Match": '"1"'})
    assert (kept.status_code, reason_of(kept)) == (409, "in_a_chain")
    assert chain in kept.json()["detail"]
    api.client.delete(f"{AT}/{chain}", headers=engineer | {"If-Match": '"1"'})
    assert api.client.delete(at, headers=engineer | {"If-Match": '"1"'}).status_code == 204


def test_an_incident_says_which_step_is_next_until_somebody_takes_it(api: ApiUnderTest, own: str) -> None:
    engineer = api.as_("engineer")
    chain = api.client.post(AT, json=a_body(own), headers=engineer).json()["id"]
    incident = api.open_incident()
    at = f"/api/v1/incidents/{incident.id}"
    first = api.client.get(at, headers=engineer)
    [shown] = first.json()["escalations"]
    assert (shown["chain"], shown["name"], shown["step"], shown["steps"]) == (chain, "night", 1, 2)
    assert shown["subscription"] == own
    api.clock.advance(timedelta(minutes=5))
    assert EscalationTask(api.database, api.clock).turn() == 1
    # The step is another one though the ETag is the same.
    again = api.client.get(at, headers=engineer | {"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.json()["escalations"][0]["step"]) == (200, 2)
    listed = api.client.get("/api/v1/incidents", headers=engineer).json()["items"]
    assert listed[0]["escalations"] == again.json()["escalations"]
    [sent] = api.client.get("/api/v1/deliveries", headers=engineer).json()["items"]
    assert (sent["chain"], sent["step"], sent["incident"]) == ("night", 1, incident.id)
    said = api.client.post(f"{at}/comment", json={"text": "who has it?"}, headers=engineer).json()
    assert said["escalations"] == again.json()["escalations"]
    taken = api.client.post(f"{at}/acknowledge", headers=engineer).json()
    assert taken["escalations"] == api.client.get(at, headers=engineer).json()["escalations"] == []
