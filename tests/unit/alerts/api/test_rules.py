"""The rules through the API: those in force, those that were, and what others would have made of it all."""

from datetime import timedelta
from typing import Any

import pytest
from httpx2 import Response

from alerts.simulation.reading import TopicSpan
from steadyline.rule_set import RuleSet
from tests.support.alerts_api import LINE, ApiUnderTest, reason_of
from tests.support.held_clock import HeldClock
from tests.support.incidents import DAY
from tests.support.written_scores import write, written_scores


def simulate(api: ApiUnderTest, rules: object, **more: Any) -> Response:
    """Simulate rules since the begin of the topics."""
    body = {"since": "1970-01-02T00:00:00Z", "rules": rules, **more}
    answer: Response = api.client.post("/api/v1/rules/simulate", json=body, headers=api.as_("engineer"))
    return answer


def test_the_rules_in_force_are_shown_with_their_defaults(api: ApiUnderTest) -> None:
    found = api.client.get("/api/v1/rules", headers=api.as_("viewer")).json()
    assert found["alerts"]["camera_states"]["silent_after"] == "30s"
    assert found["products"]["cell"]["alerts"]["open_frames"] == {"anomalous": 3, "of": 5}
    assert found["version"] == RuleSet.of(LINE).version


def test_each_version_that_a_process_started_with_is_kept_once(api: ApiUnderTest) -> None:
    first = RuleSet.of(LINE)
    second = first.proposed({"alerts": {"quiet": ["model_promoted"]}})
    begin = api.clock.now()
    for rules in (first, second, first):
        with api.database.transaction() as session:
            api.api.stores.rule_versions.note(session, rules, api.clock.now())
        api.clock.advance(timedelta(hours=1))
    viewer = api.as_("viewer")
    page = api.client.get("/api/v1/rules/versions", params={"limit": 1}, headers=viewer).json()
    rest = api.client.get("/api/v1/rules/versions", params={"cursor": page["next"]}, headers=viewer).json()
    assert [one["version"] for one in page["items"] + rest["items"]] == [second.version, first.version]
    assert rest["next"] is None
    kept = api.client.get(f"/api/v1/rules/versions/{first.version}", headers=viewer).json()
    assert kept["first_at"] == begin.isoformat().replace("+00:00", "Z")
    assert kept["last_at"] == (begin + timedelta(hours=2)).isoformat().replace("+00:00", "Z")
    assert {"alerts": kept["alerts"], "products": kept["products"]} == first.written()
    missing = api.client.get(f"/api/v1/rules/versions/{'0' * 64}", headers=viewer)
    assert reason_of(missing) == "no_such_rules"


def test_a_simulation_tells_what_would_have_differed(api: ApiUnderTest) -> None:
    write(api.broker, *written_scores(LINE, "east-1", "ggaagggg"), *written_scores(LINE, "west-1", "gg"))
    once = {"open_frames": {"anomalous": 2, "of": 3}}
    found = simulate(api, {"products": {"cell": {"alerts": once}}}).json()
    comparison = found["comparison"]
    assert (comparison["now"]["incidents"], comparison["proposed"]["incidents"]) == (0, 1)
    (only,) = comparison["only_proposed"]
    assert (only["camera"], only["frames"], only["notified"]) == ("east-1", 2, 1)
    assert found["topics"][-1] == {
        **found["topics"][-1],
        "topic": "scores",
        "messages": 10,
        "refused": 0,
        "first": (DAY + timedelta(seconds=1)).isoformat().replace("+00:00", "Z"),
        "cut": None,
    }
    same = simulate(api, {}).json()["comparison"]
    assert same["now"] == same["proposed"]
    assert (same["only_now"], same["only_proposed"], same["changed"]) == ([], [], [])


def test_wrong_rules_are_refused_field_by_field(api: ApiUnderTest) -> None:
    wrong = {"alerts": {"quite": []}, "products": {"cell": {"alerts": {"cooldown": "soon"}}, "jar": {}}}
    answer = simulate(api, wrong)
    assert (answer.status_code, reason_of(answer)) == (422, "invalid_request")
    assert {one["where"]: one["problem"] for one in answer.json()["errors"]} == {
        "body.rules.alerts.quite": "unknown field",
        "body.rules.products.cell.alerts.cooldown": "no duration: write 30s, 15m, 24h or 7d",
        "body.rules.products.jar": "there is no such product; there are cell, panel",
    }
    assert reason_of(simulate(api, {}, until="1970-01-01T00:00:00Z")) == "invalid_request"


def test_names_that_no_text_can_hold_are_refused_too(api: ApiUnderTest) -> None:
    answer = api.client.post(
        "/api/v1/rules/simulate",
        content=b'{"since": "2026-01-01T00:00:00Z", "rules": {"\\ud800": 1, "alerts": {"\\ud800": 1}}}',
        headers=api.as_("engineer", Content_Type="application/json"),
    )
    assert reason_of(answer) == "invalid_request"


def test_a_second_simulation_is_refused_while_one_runs(api: ApiUnderTest) -> None:
    api.simulator.clock = held = HeldClock()
    first = api.simulator.compare_rules(LINE, TopicSpan())
    answer = simulate(api, {})
    assert (answer.status_code, reason_of(answer)) == (409, "simulation_running")
    assert answer.headers["retry-after"] == "10"
    held.go_on.set()
    first.result(timeout=60)
    assert simulate(api, {}).status_code == 200


def test_a_broker_that_is_away_is_no_fault_of_ours(api: ApiUnderTest) -> None:
    api.broker.set_away(True)
    assert reason_of(simulate(api, {})) == "unavailable"


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_an_engineer_simulates(api: ApiUnderTest, role: Any) -> None:
    answer = api.client.post("/api/v1/rules/simulate", json={}, headers=api.as_(role))
    assert reason_of(answer) == "role_too_low"
