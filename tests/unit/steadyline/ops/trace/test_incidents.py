"""The story of an anomalous frame goes on: its incident, who was told, and what is not known of that."""

from collections.abc import Iterator
from typing import Any

import pytest

from steadyline.clock import ManualClock
from steadyline.contracts.alert import AnomalyFacts
from steadyline.contracts.frame import FrameId
from steadyline.contracts.topics import line_topics
from steadyline.kafka.broker import Message
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.ops.trace.incidents import IncidentSighting, ask_deliveries, incidents_of
from steadyline.ops.trace.report import as_json, show
from steadyline.ops.trace.timeline import FrameTimeline
from steadyline.terminal import PlainConsole
from tests.support.alert_outbox import ANOMALY, an_alert, incident_of

TOPICS = line_topics("t", 2)
DELIVERED = {
    "id": "d1",
    "subscription": "s1",
    "state": "delivered",
    "attempts": 1,
    "delivered_at": "2026-01-01T12:00:01+00:00",
    "next_at": "2026-01-01T12:00:00+00:00",
    "deadline": "2026-01-02T12:00:00+00:00",
    "last_reason": None,
}
PENDING = {**DELIVERED, "id": "d2", "state": "pending", "attempts": 3, "delivered_at": None}
PENDING["last_reason"] = "answered_with_error"


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker(ManualClock())
    broker.create_topics(list(TOPICS))
    return broker


def tell(broker: MemoryBroker, incident: int = 1, **changes: Any) -> None:
    alert = an_alert(incident=incident_of(incident), **changes)
    headers = alert.headers("test", alert.incident, alert.at)
    message = Message(TOPICS.alerts.name, alert.incident.encode(), alert.encode(), headers)
    broker.publisher("test").publish(message, lambda _: None)


def facts(first: int, last: int, worst: int, camera: str = "east-1", epoch: int = 1) -> AnomalyFacts:
    names = {"first_frame": first, "last_frame": last, "worst_frame": worst}
    return ANOMALY.model_copy(update={key: f"{camera}/{epoch}/{number}" for key, number in names.items()})


def found(broker: MemoryBroker, sequence: int) -> list[IncidentSighting]:
    return incidents_of(broker.reader("test").read(TOPICS.alerts.name), FrameId("east-1", 1, sequence))


def timeline(broker: MemoryBroker, sequence: int) -> FrameTimeline:
    return FrameTimeline(FrameId("east-1", 1, sequence), incidents=found(broker, sequence))


def lines_of(told: FrameTimeline) -> list[str]:
    console = PlainConsole(record=True, width=300)
    show(told, TOPICS, console)
    return console.export_text().splitlines()


@pytest.mark.parametrize(
    ("sequence", "role"), [(3, "counted"), (5, "opened"), (8, "worst"), (9, "last"), (7, "merged")]
)
def test_a_frame_belongs_to_its_incident_in_one_way(broker: MemoryBroker, sequence: int, role: str) -> None:
    tell(broker, anomaly=facts(3, 5, 5))
    tell(broker, sequence=2, change="risen", anomaly=facts(3, 8, 8))
    tell(broker, sequence=3, change="resolved", anomaly=facts(3, 9, 8))
    (one,) = found(broker, sequence)
    assert (one.id, one.role) == (incident_of(1), role)
    assert [item.alert.change for item in one.changes] == ["opened", "risen", "resolved"]


def test_a_frame_is_in_no_incident_of_others(broker: MemoryBroker) -> None:
    tell(broker, anomaly=facts(3, 5, 5))
    tell(broker, 2, anomaly=facts(3, 20, 5, epoch=2))
    tell(broker, 3, anomaly=facts(3, 20, 5, camera="east-2"))
    tell(broker, 4, anomaly=None, kind="camera_down")
    assert found(broker, 6) == []


def test_what_comes_twice_or_fits_no_contract_is_passed_over(broker: MemoryBroker) -> None:
    for _ in range(2):
        tell(broker, anomaly=facts(3, 5, 5))
    broker.publisher("test").publish(Message(TOPICS.alerts.name, b"x", b'"east-1/1/'), lambda _: None)
    (one,) = found(broker, 5)
    assert len(one.changes) == 1


def test_changes_and_deliveries_are_told_in_words_and_as_json(broker: MemoryBroker) -> None:
    tell(broker, anomaly=facts(5, 5, 5))
    tell(broker, sequence=2, change="resolved", anomaly=facts(5, 5, 5), notify=False)
    told = timeline(broker, 5)

    class Deliveries:
        def entries(self, path: str, limit: int, **query: Any) -> Iterator[dict[str, Any]]:
            assert (path, query) == ("deliveries", {"incident": incident_of(1)})
            yield from (DELIVERED, PENDING)

    ask_deliveries(told.incidents, Deliveries())
    text = "\n".join(lines_of(told))
    assert f"{incident_of(1)} opened, warning, this frame opened it: 3 of the last 5 frames" in text
    assert "subscribers are told" in text
    assert (
        f"{incident_of(1)} resolved, warning: 3 of the last 5 frames are anomalous.; nobody is told" in text
    )
    assert "delivery  d1 to subscription s1: delivered after 1 attempt" in text
    assert "d2 to subscription s1: pending after 3 attempts, answered_with_error" in text
    (incident,) = as_json(told, TOPICS)["incidents"]
    assert [one["sequence"] for one in incident["changes"]] == [1, 2]
    assert incident["deliveries"] == [DELIVERED, PENDING]


def test_what_nobody_could_be_asked_is_said(broker: MemoryBroker) -> None:
    tell(broker, anomaly=facts(5, 5, 5))
    told = timeline(broker, 5)
    told.deliveries_unknown = "no token"
    assert lines_of(told)[-1] == "what became of the deliveries is not known: no token"
    assert as_json(told, TOPICS)["incidents"][0]["deliveries"] is None
