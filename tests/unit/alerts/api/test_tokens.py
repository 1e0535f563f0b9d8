"""Tokens: who is let in, with what, for how long."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from alerts.api.first_token import first_admin_token
from alerts.database.audit_store import AuditFilter
from alerts.database.token_store import ROLES
from steadyline.errors import InvalidConfiguration
from tests.support.alerts_api import ApiUnderTest, reason_of

EVERYTHING = re.compile(r"\{[a-z]+\}")


def test_the_first_admin_token_is_made_once(api: ApiUnderTest) -> None:
    secret = first_admin_token(api.database, api.clock)
    answer = api.client.get("/api/v1/tokens/self", headers={"Authorization": f"Bearer {secret}"})
    assert answer.json() == {"name": "first admin", "role": "admin"}
    with pytest.raises(InvalidConfiguration, match="there are tokens already"):
        first_admin_token(api.database, api.clock)


def test_an_admin_makes_a_token_and_its_secret_is_kept_nowhere(api: ApiUnderTest, tmp_path: Path) -> None:
    admin = api.as_("admin", Idempotency_Key="make-1")
    order = {"name": "press 4", "role": "operator", "days": 7}
    made = api.client.post("/api/v1/tokens", json=order, headers=admin)
    secret = made.json()["secret"]
    assert (made.status_code, secret[:3]) == (201, "sl_")
    again = api.client.post("/api/v1/tokens", json=order, headers=admin)
    assert (again.status_code, again.json()) == (201, {**made.json(), "secret": None})
    own = api.client.get("/api/v1/tokens/self", headers={"Authorization": f"Bearer {secret}"})
    assert own.json() == {"name": "press 4", "role": "operator"}
    assert "secret" not in api.client.get("/api/v1/tokens", headers=admin).text
    api.database.close()
    for file in tmp_path.glob("alerts.db*"):
        assert secret.encode() not in file.read_bytes()


def test_an_expired_token_lets_nobody_in(api: ApiUnderTest) -> None:
    viewer = api.as_("viewer")
    api.clock.advance(timedelta(hours=24))
    answer = api.client.get("/api/v1/incidents", headers=viewer)
    assert (answer.status_code, reason_of(answer)) == (401, "expired_token")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_revoked_token_lets_nobody_in_from_the_next_request_on(api: ApiUnderTest) -> None:
    admin, viewer = api.as_("admin"), api.as_("viewer")
    tokens = api.client.get("/api/v1/tokens", headers=admin).json()["items"]
    own = next(token["id"] for token in tokens if token["role"] == "viewer")
    assert api.client.delete(f"/api/v1/tokens/{own}", headers=admin).json()["revoked_at"] is not None
    answer = api.client.get("/api/v1/incidents", headers=viewer)
    assert (answer.status_code, reason_of(answer)) == (401, "revoked_token")
    assert reason_of(api.client.delete(f"/api/v1/tokens/{'0' * 32}", headers=admin)) == "no_such_token"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("", "no_token"),
        ("Basic YTpi", "no_token"),
        ("Bearer ", "no_token"),
        ("Bearer sl_stolen", "unknown_token"),
        ("Bearer a.b.c", "unknown_token"),
        (f"Bearer {'x' * 9000}", "unknown_token"),
    ],
)
def test_what_is_no_token_of_ours_lets_nobody_in(api: ApiUnderTest, header: str, reason: str) -> None:
    answer = api.client.get("/api/v1/incidents", headers={"Authorization": header})
    assert (answer.status_code, reason_of(answer)) == (401, reason)


def test_no_path_of_the_api_is_open_to_anybody(api: ApiUnderTest) -> None:
    paths = api.app.openapi()["paths"]
    asked = [(method, EVERYTHING.sub("0" * 32, path)) for path in paths for method in paths[path]]
    assert len(asked) > 20
    for method, path in [*asked, ("get", "/api/v1/openapi.json")]:
        answer = api.client.request(method, path, json={})
        assert (answer.status_code, reason_of(answer)) == (401, "no_token"), (method, path)


@pytest.mark.parametrize(
    ("method", "path", "least"),
    [
        ("get", "/incidents", "viewer"),
        ("get", "/cameras", "viewer"),
        ("post", f"/incidents/{'0' * 32}/acknowledge", "operator"),
        ("post", "/feedback", "operator"),
        ("get", "/subscriptions", "engineer"),
        ("post", f"/deliveries/{'0' * 32}/redeliver", "engineer"),
        ("get", "/audit", "engineer"),
        ("get", "/tokens", "admin"),
        ("post", "/tokens", "admin"),
    ],
)
def test_a_role_may_what_those_before_it_may_and_no_more(
    api: ApiUnderTest, method: str, path: str, least: str
) -> None:
    for number, role in enumerate(ROLES):
        answer = api.client.request(method, f"/api/v1{path}", json={}, headers=api.as_(role))
        is_refused = answer.status_code == 403 and reason_of(answer) == "role_too_low"
        assert is_refused == (number < [*ROLES].index(least)), (role, answer.text)  # type: ignore[arg-type]


def test_making_and_revoking_is_audited_without_the_secret(api: ApiUnderTest) -> None:
    admin = api.as_("admin")
    made = api.client.post("/api/v1/tokens", json={"name": "x", "role": "viewer"}, headers=admin).json()
    api.client.delete(f"/api/v1/tokens/{made['token']['id']}", headers=admin)
    with api.database.transaction() as session:
        acts = api.api.stores.audit.page(session, AuditFilter(), None, 10)
    assert [one.act for one in acts] == ["token.revoke", "token.create"]
    assert made["secret"] not in str(acts)
    rows = api.client.get("/api/v1/audit?act=token.create&limit=1", headers=admin).json()
    assert [row["target"] for row in rows["items"]] == [f"token/{made['token']['id']}"]
