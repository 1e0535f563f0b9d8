"""Subscriptions in the database."""

from pathlib import Path

import pytest
from standardwebhooks import Webhook

from alerts.subscriptions.channel import WebhookChannel
from tests.support.alert_outbox import OutboxBench, Wish

URL = "https://plant.example/hook"


@pytest.fixture
def bench(tmp_path: Path) -> OutboxBench:
    return OutboxBench.on_file(tmp_path / "alerts.db")


def a_wish(name: str) -> Wish:
    return Wish(name, WebhookChannel(url=URL), enabled=False)


def test_a_secret_is_shown_once_and_is_one_that_standard_webhooks_takes(bench: OutboxBench) -> None:
    made, secret = bench.subscribe(URL)
    with bench.database.transaction() as session:
        found = bench.store.find(session, made.id)
    assert found == made
    assert secret not in made.model_dump_json()
    Webhook(secret)
    assert secret.startswith("whsec_")


def test_an_edit_of_a_version_that_is_not_the_present_one_changes_nothing(bench: OutboxBench) -> None:
    made, _ = bench.subscribe(URL)
    with bench.database.transaction() as session:
        second = bench.store.replace(session, made.id, 1, a_wish("night shift"))
    assert second is not None
    assert (second.version, second.name, second.enabled, second.owner) == (2, "night shift", False, "ann")
    with bench.database.transaction() as session:
        assert bench.store.replace(session, made.id, 1, a_wish("day shift")) is None
        assert bench.store.replace(session, "0" * 32, 1, a_wish("day shift")) is None
        assert not bench.store.delete(session, made.id, 1)
    with bench.database.transaction() as session:
        assert bench.store.find(session, made.id) == second


def test_pages_go_through_all_of_them_once(bench: OutboxBench) -> None:
    made = {bench.subscribe(URL)[0].id for _ in range(5)}
    seen: list[str] = []
    with bench.database.transaction() as session:
        while page := bench.store.page(session, seen[-1] if seen else None, 2):
            seen += [one.id for one in page]
    assert len(seen) == 5
    assert set(seen) == made


def test_a_subscription_takes_its_deliveries_with_it(bench: OutboxBench) -> None:
    made, _ = bench.subscribe(URL)
    bench.change()
    assert bench.states() == ["pending"]
    with bench.database.transaction() as session:
        assert bench.store.delete(session, made.id, 1)
        assert not bench.store.delete(session, made.id, 1)
    assert bench.states() == []
