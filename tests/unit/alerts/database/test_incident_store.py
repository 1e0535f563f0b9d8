"""What is written of incidents is read back, page by page, and what somebody does is not lost."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from alerts.database.changes import ChangeWriter, ToldChange
from alerts.database.connection import Database
from alerts.database.incident_store import IncidentCursor, IncidentFilter, IncidentStore
from alerts.incidents.incident import Incident, IncidentChange
from alerts.incidents.limit import HeldBy
from steadyline.contracts.alert import Alert
from tests.support.alerts_bench import (
    START,
    AlertsBench,
    CountState,
    a_score,
    admit_all,
    score_message,
    turns,
)

STORE = IncidentStore()


@dataclass
class KeptOutbox:
    """Keeps what it is given."""

    given: list[tuple[int, Alert]] = field(default_factory=list)

    def enqueue(self, session: Session, told: Sequence[ToldChange]) -> None:
        self.given.extend((change.id, alert) for change, alert in told)


def admit_resolved(
    state: CountState, change: IncidentChange, held_already: HeldBy | None
) -> tuple[CountState, HeldBy | None, int]:
    """Hold back every change but the last of an incident, and say how many there were."""
    if change.change == "resolved":
        return CountState(), None, state.admitted
    return CountState(admitted=state.admitted + 1), "cap", 0


@pytest.fixture
def filled(bench: AlertsBench) -> Database:
    """Three incidents of each of two cameras, one a minute, the last of each not over."""
    for n in range(5):
        scores = [a_score(60 * n, f"east-{camera}", anomalous=n % 2 == 0) for camera in range(2)]
        bench.publish(*(score_message(score) for score in scores if score.frame[-2:] != "/0"))
        bench.publish(
            *(score_message(a_score(60 * n + 1, f"east-{c}", anomalous=n % 2 == 0)) for c in range(2))
        )
    turns(bench.process())
    return bench.database()


def test_pages_follow_one_another_without_gap_or_repetition(filled: Database) -> None:
    with filled.transaction() as session:
        whole = STORE.page(session, IncidentFilter(), None, 100)
        paged: list[Incident] = []
        cursor = None
        while page := STORE.page(session, IncidentFilter(), cursor, 1):
            paged += page
            cursor = IncidentCursor(page[-1].opened_at, page[-1].id)
    assert paged == whole
    assert len(whole) == 6
    assert whole == sorted(whole, key=lambda item: (item.opened_at, item.id), reverse=True)


def test_a_filter_holds_for_every_field(filled: Database) -> None:
    with filled.transaction() as session:

        def found(wanted: IncidentFilter) -> list[str]:
            return [f"{item.camera} {item.state}" for item in STORE.page(session, wanted, None, 100)]

        assert found(IncidentFilter(states=["open"], cameras=["east-1"])) == ["east-1 open"]
        assert found(IncidentFilter(products=["other"])) == []
        assert found(IncidentFilter(kinds=["anomaly"], severities=["critical"])) == []
        middle = IncidentFilter(since=START + timedelta(seconds=61), until=START + timedelta(seconds=200))
        assert sorted(found(middle)) == ["east-0 resolved", "east-1 resolved"]


def test_the_story_and_the_changes_after_a_number_are_whole(filled: Database) -> None:
    with filled.transaction() as session:
        changes = STORE.changes_after(session, 0, 100)
        assert STORE.changes_after(session, changes[2][0], 2) == changes[3:5]
        first = changes[0][1].incident
        assert [alert.change for alert in STORE.story(session, first)] == ["opened", "resolved"]
        assert STORE.find(session, "0" * 32) is None
        assert STORE.find_to_change(session, "0" * 32) is None


def test_the_limit_is_remembered_and_only_what_notifies_becomes_deliveries(database: Database) -> None:
    outbox = KeptOutbox()
    opened = Incident(
        id="a" * 32, kind="anomaly", severity="info", state="open", summary="", sequence=1,
        opened_at=START, changed_at=START,
    )  # fmt: skip
    risen = opened.with_changes(sequence=2, severity="critical")
    over = risen.with_changes(sequence=3, state="resolved", resolved_at=START)
    story = [
        IncidentChange(opened, "opened", "."),
        IncidentChange(risen, "risen", "."),
        IncidentChange(over, "resolved", "."),
    ]
    for change in story:
        writer = ChangeWriter(outbox, admit_resolved, CountState())  # another process each time
        with database.transaction() as session:
            writer.write(session, "scores/east-1", [change], START)
    ((_, alert),) = outbox.given
    assert (alert.change, alert.suppressed, alert.notify) == ("resolved", 2, True)
    with database.transaction() as session:
        assert [item.notify for item in STORE.story(session, opened.id)] == [False, False, True]
        assert STORE.find(session, opened.id) == over


def test_an_acknowledgement_and_a_frame_at_the_same_time_are_both_kept(bench: AlertsBench) -> None:
    """Whoever changes an incident waits for the other, and begins from what the other has left."""
    bench.publish(score_message(a_score(1, anomalous=True)))
    process = bench.process()
    turns(process, 4)
    (incident,) = bench.incidents()
    bench.publish(score_message(a_score(2)))
    waits = threading.Thread(target=turns, args=(process, 4))
    with bench.database().transaction() as session:
        found = STORE.find_to_change(session, incident.id)
        assert found is not None
        waits.start()
        scope, now = found
        after = now.with_changes(sequence=2, state="acknowledged", acknowledged_at=START)
        writer = ChangeWriter(KeptOutbox(), admit_all, CountState())
        writer.write(session, scope, [IncidentChange(after, "acknowledged", ".", who="me")], START)
    waits.join()
    assert [change for _, _, change in bench.told()] == ["opened", "acknowledged", "resolved"]
    assert bench.incidents()[0].acknowledged_at == START
