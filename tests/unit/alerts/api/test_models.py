"""Models, orders to the trainer and banks over the API."""

from typing import Any

import pytest

from alerts.database.audit_store import AuditFilter
from alerts.database.last_seen import note_seen
from alerts.incidents.observation import ModelSeen
from steadyline.contracts.model_command import ModelCommand
from steadyline.contracts.model_event import Health, ModelEvent
from steadyline.errors import BankUnavailable
from tests.support.alerts_api import BEGIN, ApiUnderTest, reason_of
from tests.support.banks import a_manifest, some_entries
from tests.support.model_history import a_history, live

MODELS = "/api/v1/models"


def announce(api: ApiUnderTest, event: ModelEvent) -> None:
    """Let the intake have taken an event."""
    with api.database.transaction() as session:
        note_seen(session, [ModelSeen(event)])


def acts(api: ApiUnderTest) -> list[tuple[str, str, str, str]]:
    with api.database.transaction() as session:
        found = api.api.stores.audit.page(session, AuditFilter(), None, 10)
    return [(one.who, one.act, one.target, one.detail) for one in found]


def test_each_product_of_the_line_is_listed_with_its_versions(api: ApiUnderTest) -> None:
    announce(api, a_history(1, 2))
    items = api.client.get(MODELS, headers=api.as_("viewer")).json()["items"]
    assert [(one["product"], one["live_version"]) for one in items] == [("cell", 2), ("panel", None)]
    assert [(one["version"], one["state"]) for one in items[0]["versions"]] == [(1, "retired"), (2, "live")]
    assert items[1]["versions"] == []


def test_a_product_has_its_history_and_is_not_sent_again(api: ApiUnderTest) -> None:
    announce(api, a_history(1))
    viewer = api.as_("viewer")
    answer = api.client.get(f"{MODELS}/cell", headers=viewer)
    assert [one["after"] for one in answer.json()["changes"]][-1] == "live"
    assert "probes" not in answer.text
    again = api.client.get(f"{MODELS}/cell", headers=viewer | {"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    announce(api, a_history(1, 2))
    more = api.client.get(f"{MODELS}/cell", headers=viewer | {"If-None-Match": answer.headers["etag"]})
    assert more.status_code == 200
    assert reason_of(api.client.get(f"{MODELS}/panel", headers=viewer)) == "no_models"
    assert reason_of(api.client.get(f"{MODELS}/other", headers=viewer)) == "no_such_product"


def test_a_figure_that_is_no_number_is_no_fault(api: ApiUnderTest) -> None:
    event = a_history(1)
    odd = event.models[0].model_copy(update={"figures": {"clean_auroc": float("nan")}})
    announce(api, event.model_copy(update={"models": [odd]}))
    viewer = api.as_("viewer")
    assert api.client.get(MODELS, headers=viewer).status_code == 200
    assert api.client.get(f"{MODELS}/cell", headers=viewer).status_code == 200


def test_an_order_is_sent_in_the_name_of_whoever_asks_and_leaves_an_audit_row(api: ApiUnderTest) -> None:
    announce(api, a_history(1, 2))
    engineer = api.as_("engineer")
    body = {"version": 1, "why": "fewer alarms"}
    answer = api.client.post(f"{MODELS}/cell/promote", json=body, headers=engineer)
    assert (answer.status_code, answer.json()["state"]) == (202, "waiting")
    assert api.orders.sent == [
        ModelCommand(
            product="cell",
            action="promote",
            version=1,
            who="the engineer",
            at=BEGIN,
            why="fewer alarms",
        )
    ]
    assert acts(api) == [("the engineer", "model.promote", "model/cell", "version 1; fewer alarms")]
    told = api.client.get(answer.headers["location"], headers=api.as_("viewer")).json()
    assert told == answer.json()


def test_an_order_that_is_answered_within_the_wait_is_told_with_its_answer(api: ApiUnderTest) -> None:
    announce(api, a_history(1))

    def answer(command: ModelCommand, place: int) -> None:
        announce(api, live(a_history(1), 2).model_copy(update={"commands_until": place + 1}))

    api.orders.on_order = answer
    api.clock.set(a_history(1).at)
    engineer = api.as_("engineer")
    told = api.client.post(f"{MODELS}/cell/retrain?wait=30", json={"why": "new parts"}, headers=engineer)
    assert (told.status_code, told.json()["state"]) == (200, "done")
    assert (told.json()["answer"]["version"], told.json()["answer"]["after"]) == (2, "live")
    orders = api.client.get(f"{MODELS}/cell/orders", headers=engineer).json()["items"]
    assert [(one["action"], one["state"], one["why"]) for one in orders] == [("retrain", "done", "new parts")]


def test_an_order_that_nobody_answers_is_told_as_it_stands_when_the_wait_is_over(api: ApiUnderTest) -> None:
    answer = api.client.post(f"{MODELS}/cell/roll-back?wait=2.5", headers=api.as_("engineer"))
    assert (answer.status_code, answer.json()["state"]) == (202, "waiting")
    assert api.orders.sent[0].action == "rollback"
    assert api.clock.monotonic() == pytest.approx(2.5)
    too_long = api.client.post(f"{MODELS}/cell/roll-back?wait=61", headers=api.as_("engineer"))
    assert reason_of(too_long) == "invalid_request"


def test_an_order_that_is_sent_again_is_given_once_and_told_as_it_stands(api: ApiUnderTest) -> None:
    engineer = api.as_("engineer", Idempotency_Key="k")
    first = api.client.post(f"{MODELS}/cell/retrain", json={"why": "x"}, headers=engineer)
    second = api.client.post(f"{MODELS}/cell/retrain", json={"why": "x"}, headers=engineer)
    assert (second.status_code, second.json()) == (202, first.json())
    assert second.headers["idempotent-replayed"] == "true"
    assert len(api.orders.sent) == len(acts(api)) == 1
    other = api.client.post(f"{MODELS}/cell/retrain", json={"why": "y"}, headers=engineer)
    assert reason_of(other) == "key_reused"


def test_an_order_that_no_broker_has_acknowledged_says_where_it_stands(api: ApiUnderTest) -> None:
    api.orders.is_away = True
    engineer = api.as_("engineer", Idempotency_Key="k")
    answer = api.client.post(f"{MODELS}/cell/retrain", headers=engineer)
    assert (answer.status_code, reason_of(answer)) == (503, "unavailable")
    items = api.client.get(f"{MODELS}/cell/orders", headers=engineer).json()["items"]
    assert [one["state"] for one in items] == ["unconfirmed"]
    assert items[0]["id"] in answer.json()["detail"]
    again = api.client.post(f"{MODELS}/cell/retrain", headers=engineer)
    assert (again.status_code, again.json()["state"]) == (202, "unconfirmed")


def test_orders_need_an_engineer_a_product_and_a_reason_of_some_length(api: ApiUnderTest) -> None:
    engineer = api.as_("engineer")
    for act, body in (("retrain", {}), ("promote", {"version": 1}), ("roll-back", {})):
        path = f"{MODELS}/cell/{act}"
        assert reason_of(api.client.post(path, json=body, headers=api.as_("operator"))) == "role_too_low"
        assert reason_of(api.client.post(path.replace("cell", "x"), json=body, headers=engineer)) == (
            "no_such_product"
        )
        long = {**body, "why": "x" * 501}
        assert reason_of(api.client.post(path, json=long, headers=engineer)) == "invalid_request"
    assert reason_of(api.client.post(f"{MODELS}/cell/promote", json={}, headers=engineer)) == (
        "invalid_request"
    )
    assert api.orders.sent == []
    assert reason_of(api.client.get(f"{MODELS}/cell/orders/{'0' * 32}", headers=engineer)) == "no_such_order"


def test_orders_come_newest_first_a_page_at_a_time(api: ApiUnderTest) -> None:
    engineer = api.as_("engineer")
    for n in range(5):
        api.client.post(f"{MODELS}/cell/retrain", json={"why": str(n)}, headers=engineer)
    seen, cursor = [], None
    while True:
        query: dict[str, Any] = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = api.client.get(f"{MODELS}/cell/orders", params=query, headers=engineer).json()
        seen += [one["id"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 5


def test_a_bank_is_shown_with_what_was_accepted_and_what_is_detected(api: ApiUnderTest) -> None:
    api.bank.write(a_manifest("cell", 3, 4), some_entries(4))
    detection = {"cutpaste": 0.9, "scratch": 0.4}
    health = Health(
        at=BEGIN, version=1, state="seeing", reason="", detection=detection, false_alarm_rate=0.01
    )
    announce(api, a_history(1).model_copy(update={"health": health}))
    viewer = api.as_("viewer")
    bank = api.client.get("/api/v1/bank/cell", headers=viewer).json()
    assert (bank["version"], bank["entries"], bank["state"]) == (3, 4, "seeing")
    assert bank["transforms"] == [
        {"name": "cutpaste", "acceptance": 0.75, "detection": 0.9},
        {"name": "scratch", "acceptance": None, "detection": 0.4},
    ]
    none = api.client.get("/api/v1/bank/panel", headers=viewer).json()
    assert (none["version"], none["transforms"]) == (None, [])
    assert reason_of(api.client.get("/api/v1/bank/other", headers=viewer)) == "no_such_product"


def test_a_redis_that_is_away_costs_the_bank_alone(api: ApiUnderTest) -> None:
    api.bank.outage = BankUnavailable("told to be away")
    viewer = api.as_("viewer")
    answer = api.client.get("/api/v1/bank/cell", headers=viewer)
    assert (answer.status_code, reason_of(answer)) == (503, "unavailable")
    assert answer.json()["detail"] == "reason: bank_unavailable"
    assert api.client.get(MODELS, headers=viewer).status_code == 200
