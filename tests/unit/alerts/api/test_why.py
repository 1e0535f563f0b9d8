"""Why somebody was told of an incident, and why somebody else was not."""

from datetime import timedelta
from typing import Any, get_args

from sqlalchemy import update

from alerts.api.routes.why import HELD_WORDS, NOT_TOLD_WORDS
from alerts.database.tables import DeliveryRow
from alerts.incidents.limit import HeldBy
from alerts.subscriptions.filter import Mismatch
from tests.support.alerts_api import ApiUnderTest, reason_of


def subscribe(api: ApiUnderTest, name: str, **fields: Any) -> str:
    """Return the id of a new subscription."""
    channel = {"kind": "webhook", "url": "https://example.org/hook"}
    body = {"name": name, "channel": channel, **fields}
    made = api.client.post("/api/v1/subscriptions", json=body, headers=api.as_("engineer"))
    return str(made.json()["subscription"]["id"])


def explain(api: ApiUnderTest, incident: str, subscription: str | None = None) -> list[dict[str, Any]]:
    """Return what is said of each change of an incident."""
    query = f"?subscription={subscription}" if subscription else ""
    answer = api.client.get(f"/api/v1/incidents/{incident}/why{query}", headers=api.as_("viewer"))
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["changes"]
    return found


def test_each_subscription_is_told_of_a_change_or_there_is_a_reason(api: ApiUnderTest) -> None:
    night = {"zone": "UTC", "start": "22:00:00", "end": "23:00:00"}
    filters: dict[str, dict[str, Any]] = {
        "product": {"products": ["panel"]},
        "camera": {"cameras": ["west-*"]},
        "kind": {"kinds": ["camera_down"]},
        "severity": {"least_severity": "critical"},
        "change": {"changes": ["resolved"]},
        "hours": {"hours": night},
    }
    for word, condition in filters.items():
        subscribe(api, word, filter=condition)
    subscribe(api, "disabled", enabled=False)
    subscribe(api, "digest", digest={"every": "1h"})
    subscribe(api, "waiting")
    api.clock.advance(timedelta(seconds=1))
    incident = api.open_incident()
    api.clock.advance(timedelta(seconds=1))
    subscribe(api, "made_later")
    (change,) = explain(api, incident.id)
    assert (change["notify"], change["held_by"], change["in_words"]) == (True, None, "notified")
    assert change["why"] == "3 of the last 5 frames"
    told = {one["name"]: (one["outcome"], one["reason"]) for one in change["subscriptions"]}
    expected = {word: ("none", word) for word in (*filters, "disabled", "digest", "made_later")}
    assert told == {**expected, "waiting": ("waiting", None)}
    assert all(one["in_words"] for one in change["subscriptions"])


def test_a_delivery_is_told_with_what_became_of_it(api: ApiUnderTest) -> None:
    own, other = subscribe(api, "mine"), subscribe(api, "other")
    incident = api.open_incident()
    for state, reason in (("delivered", None), ("dead", "deadline_passed")):
        with api.database.transaction() as session:
            row = update(DeliveryRow).where(DeliveryRow.subscription == own)
            session.execute(row.values(state=state, last_reason=reason))
        (change,) = explain(api, incident.id, own)
        (told,) = change["subscriptions"]
        assert (told["subscription"], told["outcome"], told["reason"]) == (own, state, reason)
        assert told["delivery"]
    assert len(explain(api, incident.id)[0]["subscriptions"]) == 2
    assert explain(api, incident.id, other)[0]["subscriptions"][0]["outcome"] == "waiting"


def test_a_subscription_that_was_edited_since_is_no_riddle(api: ApiUnderTest) -> None:
    engineer = api.as_("engineer")
    own = subscribe(api, "mine", enabled=False)
    incident = api.open_incident()
    channel = {"kind": "webhook", "url": "https://example.org/hook"}
    at = f"/api/v1/subscriptions/{own}"
    edit = api.client.put(at, json={"name": "mine", "channel": channel}, headers=engineer | {"If-Match": "*"})
    assert edit.status_code == 200
    (told,) = explain(api, incident.id, own)[0]["subscriptions"]
    assert (told["outcome"], told["reason"]) == ("none", "edited")


def test_what_was_held_back_says_by_what(api: ApiUnderTest) -> None:
    own = subscribe(api, "mine")
    first = api.open_incident(1)
    incident = api.open_incident(2, changed_at=first.changed_at)
    (change,) = explain(api, incident.id, own)
    assert (change["notify"], change["held_by"]) == (False, "cooldown")
    assert "not notified: somebody had just been notified" in change["in_words"]
    assert change["subscriptions"][0]["reason"] == "cooldown"


def test_what_is_not_there_is_explained_to_nobody(api: ApiUnderTest) -> None:
    viewer, incident = api.as_("viewer"), api.open_incident()
    nothing = api.client.get(f"/api/v1/incidents/{'0' * 32}/why", headers=viewer)
    assert reason_of(nothing) == "no_such_incident"
    nobody = api.client.get(f"/api/v1/incidents/{incident.id}/why?subscription={'0' * 32}", headers=viewer)
    assert reason_of(nobody) == "no_such_subscription"


def test_every_word_has_its_sentence() -> None:
    assert set(HELD_WORDS) == set(get_args(HeldBy))
    assert set(get_args(Mismatch)) < set(NOT_TOLD_WORDS)
