"""Incidents over the API: lists, one, its story, and what people do about it."""

from datetime import timedelta

import pytest

from alerts.database.audit_store import AuditFilter
from tests.support.alerts_api import BEGIN, ApiUnderTest, reason_of


def test_incidents_come_newest_first_a_page_at_a_time(api: ApiUnderTest) -> None:
    made = [api.open_incident(number).id for number in range(1, 8)]
    viewer, seen, cursor = api.as_("viewer"), [], None
    while True:
        query = {"limit": "3"} | ({"cursor": cursor} if cursor else {})
        page = api.client.get("/api/v1/incidents", params=query, headers=viewer).json()
        seen += [one["id"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == made[::-1]


def test_an_incident_that_is_opened_between_two_pages_moves_none_of_the_older_ones(api: ApiUnderTest) -> None:
    made = [api.open_incident(number).id for number in range(1, 5)]
    viewer = api.as_("viewer")
    first = api.client.get("/api/v1/incidents?limit=2", headers=viewer).json()
    api.open_incident(9)
    second = api.client.get(
        "/api/v1/incidents", params={"limit": "2", "cursor": first["next"]}, headers=viewer
    ).json()
    assert [one["id"] for one in first["items"] + second["items"]] == made[::-1]


@pytest.mark.parametrize("cursor", ["x", "%00", "bnVsbA", "WyJ4Il0", "WyIyMDI2LTAxLTAxIiwgIngiXQ", "=" * 400])
def test_a_cursor_that_is_none_is_a_problem(api: ApiUnderTest, cursor: str) -> None:
    answer = api.client.get(f"/api/v1/incidents?cursor={cursor}", headers=api.as_("viewer"))
    assert (answer.status_code, reason_of(answer)) == (422, "invalid_cursor")


def test_incidents_are_filtered(api: ApiUnderTest) -> None:
    api.open_incident(1)
    down = api.open_incident(2, kind="camera_down", camera="west-1", severity="critical", anomaly=None)
    viewer = api.as_("viewer")
    for query in (
        "kind=camera_down",
        "camera=west-1&state=open",
        "severity=critical&severity=info",
        f"opened_from={(BEGIN + timedelta(minutes=2)).isoformat().replace('+', '%2B')}",
    ):
        page = api.client.get(f"/api/v1/incidents?{query}", headers=viewer).json()
        assert [one["id"] for one in page["items"]] == [down.id], query
    assert reason_of(api.client.get("/api/v1/incidents?colour=red", headers=viewer)) == "invalid_request"


def test_one_incident_has_an_etag_and_is_not_sent_again(api: ApiUnderTest) -> None:
    incident, viewer = api.open_incident(), api.as_("viewer")
    answer = api.client.get(f"/api/v1/incidents/{incident.id}", headers=viewer)
    assert answer.json()["summary"] == incident.summary
    again = api.client.get(
        f"/api/v1/incidents/{incident.id}", headers=viewer | {"If-None-Match": answer.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    assert reason_of(api.client.get(f"/api/v1/incidents/{'0' * 32}", headers=viewer)) == "no_such_incident"
    assert reason_of(api.client.get("/api/v1/incidents/x", headers=viewer)) == "invalid_request"


def test_acts_change_the_incident_and_leave_audit_rows_and_a_story(api: ApiUnderTest) -> None:
    incident, operator = api.open_incident(), api.as_("operator")
    at = f"/api/v1/incidents/{incident.id}"
    until = (BEGIN + timedelta(hours=1)).isoformat()
    for act, body, state in (
        ("acknowledge", None, "acknowledged"),
        ("assign", {"to": "ines"}, "acknowledged"),
        ("comment", {"text": "a scratch"}, "acknowledged"),
        ("snooze", {"until": until}, "snoozed"),
        ("resolve", {"comment": "part taken out"}, "resolved"),
    ):
        answer = api.client.post(f"{at}/{act}", json=body, headers=operator)
        assert (answer.status_code, answer.json()["state"]) == (200, state), answer.text
        assert api.client.get(at, headers=operator).headers["etag"] == answer.headers["etag"]
    story = api.client.get(f"{at}/story", headers=operator).json()["items"]
    assert [one["sequence"] for one in story] == [1, 2, 3, 4, 5, 6]
    assert [one["change"] for one in story][1:] == [
        *("acknowledged", "assigned", "commented", "snoozed", "resolved")
    ]
    assert {one["who"] for one in story[1:]} == {"the operator"}
    with api.database.transaction() as session:
        acts = api.api.stores.audit.page(session, AuditFilter(), None, 10)
    assert [one.act for one in acts] == [
        f"incident.{act}" for act in ("resolve", "snooze", "comment", "assign", "acknowledge")
    ]
    assert {one.target for one in acts} == {f"incident/{incident.id}"}


def test_an_act_that_does_not_fit_is_refused_with_its_own_word(api: ApiUnderTest) -> None:
    incident, operator = api.open_incident(), api.as_("operator")
    at = f"/api/v1/incidents/{incident.id}"
    api.client.post(f"{at}/resolve", headers=operator)
    answer = api.client.post(f"{at}/acknowledge", headers=operator)
    assert (answer.status_code, reason_of(answer)) == (409, "already_resolved")


def test_an_act_on_what_has_changed_meanwhile_is_refused(api: ApiUnderTest) -> None:
    incident, operator = api.open_incident(), api.as_("operator")
    at = f"/api/v1/incidents/{incident.id}"
    seen = api.client.get(at, headers=operator).headers["etag"]
    first = api.client.post(f"{at}/acknowledge", headers=operator | {"If-Match": seen})
    second = api.client.post(f"{at}/acknowledge", headers=operator | {"If-Match": seen})
    assert first.status_code == 200
    assert (second.status_code, reason_of(second)) == (412, "changed_meanwhile")


def test_an_act_whose_write_fails_changes_nothing_at_all(api: ApiUnderTest) -> None:
    incident, operator = api.open_incident(), api.as_("operator")
    at = f"/api/v1/incidents/{incident.id}"
    api.outbox.fails = True
    answer = api.client.post(f"{at}/acknowledge", headers=operator | {"Idempotency-Key": "k"})
    assert (answer.status_code, reason_of(answer)) == (503, "unavailable")
    api.outbox.fails = False
    assert api.client.get(at, headers=operator).json()["state"] == "open"
    assert len(api.client.get(f"{at}/story", headers=operator).json()["items"]) == 1
    with api.database.transaction() as session:
        assert api.api.stores.audit.page(session, AuditFilter(), None, 10) == []
    again = api.client.post(f"{at}/acknowledge", headers=operator | {"Idempotency-Key": "k"})
    assert again.status_code == 200


def test_a_comment_that_is_sent_again_is_said_once(api: ApiUnderTest) -> None:
    incident, operator = api.open_incident(), api.as_("operator", Idempotency_Key="k-1")
    at = f"/api/v1/incidents/{incident.id}"
    first = api.client.post(f"{at}/comment", json={"text": "dust"}, headers=operator)
    second = api.client.post(f"{at}/comment", json={"text": "dust"}, headers=operator)
    assert (second.status_code, second.json()) == (200, first.json())
    assert second.headers["idempotent-replayed"] == "true"
    assert len(api.client.get(f"{at}/story", headers=operator).json()["items"]) == 2
    other = api.client.post(f"{at}/comment", json={"text": "oil"}, headers=operator)
    assert (other.status_code, reason_of(other)) == (422, "key_reused")
    api.clock.advance(timedelta(hours=25))
    fresh = api.as_("operator", Idempotency_Key="k-1")
    assert (
        "idempotent-replayed"
        not in api.client.post(f"{at}/comment", json={"text": "dust"}, headers=fresh).headers
    )


def test_a_viewer_acts_on_nothing(api: ApiUnderTest) -> None:
    incident, viewer = api.open_incident(), api.as_("viewer")
    for act in ("acknowledge", "resolve", "snooze", "assign", "comment"):
        answer = api.client.post(f"/api/v1/incidents/{incident.id}/{act}", json={}, headers=viewer)
        assert (answer.status_code, reason_of(answer)) == (403, "role_too_low")
