"""Maintenance windows over the API."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from alerts.database.audit_store import AuditFilter
from alerts.windows.ends import SETTLE, WindowEnds
from alerts.windows.store import MOST_WINDOWS
from steadyline.contracts.alert_digest import AlertDigest
from tests.support.alerts_api import BEGIN, ApiUnderTest, reason_of

AT = "/api/v1/windows"
NIGHTLY: dict[str, Any] = {
    "name": "oil change",
    "scope": {"cameras": ["east-*"]},
    "schedule": {
        "start": "2026-01-01T02:00:00",
        "duration_minutes": 60,
        "zone": "Europe/Vienna",
        "rule": "FREQ=DAILY",
    },
}


class NoDigests:
    """Delivers no digest."""

    def enqueue_digest(
        self, session: Session, subscription_id: str, digest: AlertDigest, now: object
    ) -> None:
        """Add nothing."""


def test_a_window_says_whether_it_is_in_force_and_when_it_is_next(api: ApiUnderTest) -> None:
    viewer = api.as_("viewer")
    made = api.client.post(AT, json=NIGHTLY, headers=api.as_("operator"))
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    assert (made.json()["owner"], made.json()["name"]) == ("the operator", "oil change")
    found = api.client.get(AT, headers=viewer).json()["items"]
    assert found == [made.json()]
    assert (found[0]["in_force"], found[0]["in_force_until"]) == (False, None)
    assert found[0]["next_begin"] == "2026-01-01T01:00:00Z"
    api.clock.set(BEGIN + timedelta(minutes=90))
    shown = api.client.get(f"{AT}/{made.json()['id']}", headers=viewer)
    assert shown.headers["etag"] == '"1"'
    assert (shown.json()["in_force"], shown.json()["in_force_until"]) == (True, "2026-01-01T02:00:00Z")
    assert shown.json()["next_begin"] == "2026-01-02T01:00:00Z"


def test_a_window_that_is_asked_for_again_is_made_once(api: ApiUnderTest) -> None:
    operator = api.as_("operator", Idempotency_Key="w-1")
    first = api.client.post(AT, json=NIGHTLY, headers=operator)
    again = api.client.post(AT, json=NIGHTLY, headers=operator)
    assert again.json() == first.json()
    assert len(api.client.get(AT, headers=operator).json()["items"]) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": ""}, "invalid_request"),
        ({"schedule": {**NIGHTLY["schedule"], "rule": "FREQ=SECONDLY"}}, "invalid_request"),
        (
            {"schedule": {**NIGHTLY["schedule"], "rule": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"}},
            "invalid_request",
        ),
        ({"schedule": {**NIGHTLY["schedule"], "zone": "../etc/passwd"}}, "invalid_request"),
        ({"schedule": {**NIGHTLY["schedule"], "duration_minutes": 20_000}}, "invalid_request"),
        ({"schedule": {**NIGHTLY["schedule"], "start": "2026-01-01T02:00:00+01:00"}}, "invalid_request"),
        ({"scope": {"products": ["wafer"]}}, "unknown_product"),
        ({"scope": {"cameras": ["north-*"]}}, "unknown_camera"),
        ({"owner": "somebody else"}, "invalid_request"),
    ],
)
def test_a_window_that_does_not_fit_is_refused(
    api: ApiUnderTest, change: dict[str, Any], reason: str
) -> None:
    answer = api.client.post(AT, json={**NIGHTLY, **change}, headers=api.as_("operator"))
    assert (answer.status_code, reason_of(answer)) == (422, reason)


def test_a_viewer_sees_windows_and_changes_none(api: ApiUnderTest) -> None:
    operator, viewer = api.as_("operator"), api.as_("viewer")
    at = f"{AT}/{api.client.post(AT, json=NIGHTLY, headers=operator).json()['id']}"
    for answer in (
        api.client.post(AT, json=NIGHTLY, headers=viewer),
        api.client.put(at, json=NIGHTLY, headers=viewer),
        api.client.delete(at, headers=viewer),
        api.client.post(f"{at}/end", headers=viewer),
    ):
        assert (answer.status_code, reason_of(answer)) == (403, "role_too_low")


def test_only_a_window_that_was_read_is_changed(api: ApiUnderTest) -> None:
    operator = api.as_("operator")
    made = api.client.post(AT, json=NIGHTLY, headers=operator)
    at = f"{AT}/{made.json()['id']}"
    assert reason_of(api.client.put(at, json=NIGHTLY, headers=operator)) == "precondition_required"
    seen = {"If-Match": made.headers["etag"]}
    edit = api.client.put(at, json={**NIGHTLY, "name": "oil"}, headers=operator | seen)
    assert (edit.status_code, edit.headers["etag"], edit.json()["name"]) == (200, '"2"', "oil")
    assert reason_of(api.client.delete(at, headers=operator | seen)) == "changed_meanwhile"
    gone = api.client.delete(at, headers=operator | {"If-Match": '"2"'})
    assert (gone.status_code, gone.content) == (204, b"")
    assert reason_of(api.client.get(at, headers=operator)) == "no_such_window"
    with api.database.transaction() as session:
        acts = api.api.stores.audit.page(session, AuditFilter(), None, 10)
    assert [one.act for one in acts] == [f"window.{act}" for act in ("delete", "replace", "create")]


def test_a_window_in_force_is_ended_and_told_of_before_it_is_removed(api: ApiUnderTest) -> None:
    operator = api.as_("operator", Idempotency_Key="e-1")
    made = api.client.post(AT, json=NIGHTLY, headers=api.as_("operator"))
    at, seen = f"{AT}/{made.json()['id']}", {"If-Match": "*"}
    assert reason_of(api.client.post(f"{at}/end", headers=api.as_("operator"))) == "window_not_in_force"
    api.clock.set(BEGIN + timedelta(minutes=90))
    plain = api.as_("operator")
    refused = api.client.delete(at, headers=plain | seen)
    assert (refused.status_code, reason_of(refused)) == (409, "window_not_settled")
    ended = api.client.post(f"{at}/end", headers=operator)
    assert (ended.status_code, ended.headers["etag"], ended.json()["in_force"]) == (200, '"2"', False)
    again = api.client.post(f"{at}/end", headers=operator)
    assert (again.json(), again.headers["idempotent-replayed"]) == (ended.json(), "true")
    assert reason_of(api.client.put(at, json=NIGHTLY, headers=plain | seen)) == "window_not_settled"
    task = WindowEnds(api.database, NoDigests(), api.clock)
    api.clock.advance(SETTLE)
    task.turn()
    assert api.client.delete(at, headers=plain | seen).status_code == 204


def test_there_are_only_so_many_windows(api: ApiUnderTest) -> None:
    operator = api.as_("operator")
    for _ in range(MOST_WINDOWS):
        api.clock.advance(timedelta(seconds=1))
        api.client.post(AT, json=NIGHTLY, headers=operator)
    answer = api.client.post(AT, json=NIGHTLY, headers=operator)
    assert (answer.status_code, reason_of(answer)) == (409, "too_many_windows")


def test_the_story_says_what_held_a_change_back(api: ApiUnderTest) -> None:
    first = api.open_incident(1)
    second = api.open_incident(2, changed_at=first.changed_at)
    viewer = api.as_("viewer")
    told = [
        api.client.get(f"/api/v1/incidents/{one.id}/story", headers=viewer).json()["items"][0]
        for one in (first, second)
    ]
    assert [(one["notify"], one["held_by"]) for one in told] == [(True, None), (False, "cooldown")]
