"""The document of the API says which role each route needs, and that is the one it does need."""

import re

import pytest

from alerts.database.token_store import ROLES, Role
from tests.support.alerts_api import ApiUnderTest, reason_of


def lower(role: Role) -> Role | None:
    """Return the role below one."""
    place = ROLES.index(role)
    return ROLES[place - 1] if place else None


@pytest.mark.parametrize("role", ["operator", "engineer", "admin"])
def test_the_role_below_the_one_that_is_told_may_not(api: ApiUnderTest, role: Role) -> None:
    below = lower(role)
    assert below is not None
    headers, asked = api.as_(below), 0
    for path, methods in api.app.openapi()["paths"].items():
        for method, operation in methods.items():
            if operation["x-role"] == role:
                answer = api.client.request(method, re.sub(r"\{\w+\}", "1" * 32, path), headers=headers)
                assert answer.status_code in (403, 422), (path, method)
                asked += answer.status_code == 403 and reason_of(answer) == "role_too_low"
    assert asked >= 2
