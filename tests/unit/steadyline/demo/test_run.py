"""The demonstration waits for a first model, and not for one that was refused, nor for a dead server."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from steadyline.contracts.model_event import Change, ModelEvent
from steadyline.demo.observe import ObservedMessages
from steadyline.demo.plan import DemoPlan
from steadyline.demo.run import DemoFailed, Demonstration, first_is_live
from steadyline.demo.split import Split
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.servers.process import ServerFailed
from steadyline.terminal import PlainConsole

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def an_event(live: int | None, after: str) -> ModelEvent:
    change = Change(at=NOON, version=1, before="candidate", after=after, reason="clean_floor: 0.5")
    return ModelEvent(product="cell", at=NOON, live_version=live, models=[], changes=[change])


def test_it_waits_until_a_version_is_live() -> None:
    assert not first_is_live(ObservedMessages())
    assert first_is_live(ObservedMessages(model=an_event(1, "live")))


def test_a_refused_first_model_ends_it_and_says_why() -> None:
    with pytest.raises(DemoFailed, match=r"refused: clean_floor: .* train longer"):
        first_is_live(ObservedMessages(model=an_event(None, "rejected")))


def test_a_server_that_has_ended_ends_it_and_its_services_at_once(tmp_path: Path) -> None:
    def check() -> None:
        raise ServerFailed("triton ended with status -6")

    plan = DemoPlan(home=tmp_path)
    demonstration = Demonstration(plan, MemoryBroker(), {}, PlainConsole(quiet=True), check)
    with pytest.raises(ServerFailed, match="triton ended"):
        demonstration.run(Split([], [], [], {}), 32)
    assert (plan.logs / "trainer.log").exists()
