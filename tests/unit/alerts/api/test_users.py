"""Users: who has acted, and who may."""

from datetime import timedelta

from alerts.database.audit_store import AuditAct
from tests.support.alerts_api import ApiUnderTest, reason_of


def act(api: ApiUnderTest, who: str) -> None:
    with api.database.transaction() as session:
        api.api.stores.audit.write(session, AuditAct(who, "incident.comment", "incident/1"), api.clock.now())


def test_users_are_whoever_has_acted_or_has_a_token(api: ApiUnderTest) -> None:
    api.secret("operator", "ines")
    api.secret("engineer", "ines")
    act(api, "ines")
    api.clock.advance(timedelta(minutes=5))
    act(api, "ines")
    act(api, "someone@plant")
    users = api.client.get("/api/v1/users", headers=api.as_("admin")).json()["items"]
    found = {one["name"]: (one["role"], one["tokens"], one["acts"], one["last_act_at"]) for one in users}
    assert found == {
        "ines": ("engineer", 2, 2, "2026-01-01T00:05:00Z"),
        "someone@plant": (None, 0, 1, "2026-01-01T00:05:00Z"),
        "the admin": ("admin", 1, 0, None),
    }


def test_a_role_ends_with_its_token(api: ApiUnderTest) -> None:
    api.secret("engineer", "ines", days=1)
    api.clock.advance(timedelta(days=2))
    users = api.client.get("/api/v1/users", headers=api.as_("admin")).json()["items"]
    assert [(one["name"], one["role"]) for one in users] == [("ines", None), ("the admin", "admin")]


def test_users_come_a_page_at_a_time_and_for_admins_only(api: ApiUnderTest) -> None:
    for name in "abcde":
        act(api, name)
    admin, seen, cursor = api.as_("admin"), [], None
    while True:
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = api.client.get("/api/v1/users", params=query, headers=admin).json()
        seen += [one["name"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == ["a", "b", "c", "d", "e", "the admin"]
    assert reason_of(api.client.get("/api/v1/users", headers=api.as_("engineer"))) == "role_too_low"
