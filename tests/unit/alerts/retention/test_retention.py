"""What is old is removed, and nothing that anybody may still need."""

import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from typing_extensions import override

from alerts.database.changes import ChangeWriter
from alerts.database.connection import Database
from alerts.database.tables import (
    AuditRow,
    ChangeRow,
    CollectedRow,
    DeliveryRow,
    DigestRow,
    EvidenceRow,
    IncidentRow,
    PublishedRow,
    SubscriptionRow,
)
from alerts.deliveries.outbox import DeliveryOutbox
from alerts.evidence import EvidenceReader
from alerts.incidents.incident import IncidentChange
from alerts.incidents.limit import LimitState
from alerts.retention.kept import EvidenceNotes
from alerts.retention.task import Retention
from steadyline.alert_rules import RetentionRules
from steadyline.clock import ManualClock
from steadyline.contracts.alert import AnomalyFacts
from steadyline.contracts.evidence import EvidenceKey
from steadyline.contracts.score import Score
from steadyline.errors import StoreUnavailable
from steadyline.store import Store
from tests.support.alerts_bench import a_score
from tests.support.incidents import DAY, a_change, a_line, an_incident

DAYS = timedelta(days=1)
STOP = threading.Event()
RULES = RetentionRules(incidents=100 * DAYS, deliveries=10 * DAYS, evidence=20 * DAYS, audit=50 * DAYS)


class DeadStore(Store):
    """A store that removes nothing."""

    @override
    def delete(self, prefix: str) -> None:
        raise StoreUnavailable(f"{prefix} cannot be removed: away")


class KeptThings:
    """A database and a store with things of one day in them, and the task that removes."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.clock = database, ManualClock(DAY)
        self.store = Store(f"file://{folder}")
        self.line = a_line()

    def task(self, rules: RetentionRules = RULES, store: Store | None = None) -> Retention:
        return Retention(self.database, store or self.store, rules, self.clock)

    def tell(self, changes: Sequence[IncidentChange], published: int | None = 1_000) -> None:
        """Write changes that one subscriber gets; ``published`` of them are on their topic."""
        writer = ChangeWriter(
            DeliveryOutbox(DAYS), lambda state, change, held: (state, held, 0), LimitState()
        )
        with self.database.transaction() as session:
            if session.get(SubscriptionRow, "s" * 32) is None:
                session.add(_subscription())
            if published is not None and session.get(PublishedRow, "alerts") is None:
                session.add(PublishedRow(topic="alerts", change=published, holder=None, held_until=None))
            session.flush()
            writer.write(session, "scores/c1", changes, DAY)

    def deliver(self) -> None:
        with self.database.transaction() as session:
            for row in session.scalars(select(DeliveryRow)):
                row.state, row.delivered_at = "delivered", DAY

    def keep(self, score: Score) -> str:
        """Keep a frame's evidence, and take its score."""
        number = score.source_offset
        key = EvidenceKey("line-1", self.line.kafka_topics().frames.name, "id", 0, number, "picture.png")
        uri = self.store.put(str(key), b"picture")
        self.store.put(str(key).replace("picture.png", "map.png"), b"map")
        self.note(score.model_copy(update={"picture_uri": uri}))
        return str(key)

    def note(self, score: Score) -> None:
        notes = EvidenceNotes(EvidenceReader(self.store, self.line))
        with self.database.transaction() as session:
            notes.note(session, [score], self.clock.now())

    def count(
        self, table: type[IncidentRow | ChangeRow | DeliveryRow | AuditRow | EvidenceRow | DigestRow]
    ) -> int:
        with self.database.transaction() as session:
            return len(session.scalars(select(table)).all())


def _subscription() -> SubscriptionRow:
    return SubscriptionRow(
        id="s" * 32,
        name="one",
        owner="anna",
        enabled=True,
        filter="{}",
        channel='{"kind": "webhook", "url": "http://127.0.0.1:9/"}',
        secret="secret",
        version=1,
        created_at=DAY,
    )


@pytest.fixture
def kept(database: Database, tmp_path: Path) -> KeptThings:
    return KeptThings(database, tmp_path / "store")


def over() -> IncidentChange:
    incident = an_incident().with_changes(state="resolved", resolved_at=DAY, sequence=2)
    return a_change(incident, "resolved")


def test_an_incident_is_removed_so_long_after_its_end_and_its_deliveries_sooner(kept: KeptThings) -> None:
    kept.tell([a_change(an_incident()), over()])
    kept.deliver()
    kept.clock.advance(11 * DAYS)
    kept.task().turn(STOP)
    assert (kept.count(IncidentRow), kept.count(ChangeRow), kept.count(DeliveryRow)) == (1, 2, 0)
    kept.clock.advance(90 * DAYS)
    kept.task().turn(STOP)
    assert (kept.count(IncidentRow), kept.count(ChangeRow)) == (0, 0)


def test_what_is_not_over_stays_however_old_it_is(kept: KeptThings) -> None:
    kept.tell([a_change(an_incident())])
    kept.deliver()
    kept.clock.advance(3000 * DAYS)
    kept.task().turn(STOP)
    assert (kept.count(IncidentRow), kept.count(ChangeRow), kept.count(DeliveryRow)) == (1, 1, 1)


def test_an_incident_stays_while_something_of_it_waits(kept: KeptThings) -> None:
    kept.tell([a_change(an_incident()), over()], published=None)
    kept.clock.advance(200 * DAYS)
    kept.task().turn(STOP)
    assert kept.count(IncidentRow) == 1  # two deliveries wait
    kept.deliver()
    kept.task().turn(STOP)
    assert (kept.count(IncidentRow), kept.count(DeliveryRow)) == (1, 0)  # nothing is on the topic yet


def test_an_incident_whose_last_change_is_not_on_its_topic_stays(kept: KeptThings) -> None:
    kept.tell([a_change(an_incident()), over()], published=1)
    kept.deliver()
    kept.clock.advance(200 * DAYS)
    kept.task().turn(STOP)
    assert kept.count(IncidentRow) == 1


def test_evidence_of_anomalous_frames_is_removed_from_the_store(kept: KeptThings) -> None:
    old = kept.keep(a_score(1, "c1", anomalous=True))
    normal = kept.keep(a_score(2, "c1"))
    kept.clock.advance(15 * DAYS)
    young = kept.keep(a_score(3, "c1", anomalous=True))
    kept.clock.advance(6 * DAYS)
    kept.task().turn(STOP)
    assert [kept.store.exists(key) for key in (old, normal, young)] == [False, True, True]
    assert not kept.store.exists(old.replace("picture.png", "map.png"))
    assert kept.count(EvidenceRow) == 2


def test_evidence_of_an_open_incident_is_never_removed(kept: KeptThings) -> None:
    kept.tell([a_change(an_incident(camera="c1"))])
    before = kept.keep(a_score(1, "c2", anomalous=True))
    of_it = kept.keep(a_score(2, "c1", anomalous=True))
    kept.clock.advance(1000 * DAYS)
    kept.task().turn(STOP)
    assert [kept.store.exists(key) for key in (before, of_it)] == [False, True]
    kept.tell([over()])
    kept.task().turn(STOP)
    assert not kept.store.exists(of_it)


def test_a_score_that_names_the_evidence_of_another_frame_removes_nothing(kept: KeptThings) -> None:
    key = kept.keep(a_score(1, "c1", anomalous=True))
    kept.clock.advance(19 * DAYS)
    liar = a_score(7, "c1", anomalous=True, captured_at=DAY - 5000 * DAYS)
    kept.note(liar.model_copy(update={"picture_uri": kept.store.uri(key)}))
    kept.note(liar.model_copy(update={"picture_uri": "file:///etc/passwd"}))
    kept.task().turn(STOP)
    assert kept.store.exists(key)
    assert kept.count(EvidenceRow) == 1


def test_evidence_that_could_not_be_removed_is_removed_later(kept: KeptThings, tmp_path: Path) -> None:
    key = kept.keep(a_score(1, "c1", anomalous=True))
    kept.clock.advance(21 * DAYS)
    assert not kept.task(store=DeadStore(f"file://{tmp_path / 'store'}")).turn(STOP)
    assert kept.count(EvidenceRow) == 1
    kept.task().turn(STOP)
    assert not kept.store.exists(key)
    assert kept.count(EvidenceRow) == 0


def test_what_no_rule_limits_is_kept_for_ever(kept: KeptThings) -> None:
    never = RetentionRules(incidents=None, deliveries=None, evidence=None, audit=None)
    kept.tell([a_change(an_incident()), over()])
    kept.deliver()
    key = kept.keep(a_score(1, "c1", anomalous=True))
    with kept.database.transaction() as session:
        session.add(AuditRow(at=DAY, who="anna", act="token.make", target="token/1", detail=""))
    kept.clock.advance(3000 * DAYS)
    kept.task(never).turn(STOP)
    assert kept.store.exists(key)
    assert (kept.count(IncidentRow), kept.count(DeliveryRow), kept.count(AuditRow)) == (1, 2, 1)
    kept.task().turn(STOP)
    assert (kept.count(IncidentRow), kept.count(DeliveryRow), kept.count(AuditRow)) == (0, 0, 0)


def test_whoever_writes_scores_beforehand_does_not_choose_what_is_removed(kept: KeptThings) -> None:
    """The true score of a frame comes after a forged one that calls it normal, of another camera."""
    key = EvidenceKey("line-1", kept.line.kafka_topics().frames.name, "id", 0, 1, "picture.png")
    uri = kept.store.put(str(key), b"picture")
    kept.note(a_score(1, "c2", picture_uri=uri))
    incident = an_incident(camera="c1")
    kept.tell([a_change(incident)])
    kept.note(a_score(1, "c1", anomalous=True, picture_uri=uri))
    kept.clock.advance(1000 * DAYS)
    kept.task(RetentionRules(normal_evidence=1 * DAYS, evidence=1 * DAYS)).turn(STOP)
    assert kept.store.exists(str(key))


def test_what_an_open_incident_shows_stays_whatever_camera_its_score_has_named(kept: KeptThings) -> None:
    key = kept.keep(a_score(1, "c2", anomalous=True))
    shown = AnomalyFacts.model_validate(
        {
            "first_frame": "c1/7/1",
            "last_frame": "c1/7/1",
            "worst_frame": "c1/7/1",
            "frames": 1,
            "score": 3.0,
            "threshold": 2.0,
            "p_value": 0.01,
            "model_version": 1,
            "region": {"x": 0, "y": 0},
            "picture_uri": kept.store.uri(key),
        }
    )
    kept.tell([a_change(an_incident(camera="c1").with_changes(anomaly=shown))])
    kept.clock.advance(1000 * DAYS)
    kept.task().turn(STOP)
    assert kept.store.exists(key)


def test_an_incident_stays_while_a_digest_still_owes_it(kept: KeptThings) -> None:
    kept.tell([a_change(an_incident()), over()])
    kept.deliver()
    with kept.database.transaction() as session:
        change = session.scalars(select(ChangeRow.id)).first()
        session.add(CollectedRow(subscription="s" * 32, change=change, at=DAY))
    kept.clock.advance(200 * DAYS)
    kept.task().turn(STOP)
    assert kept.count(IncidentRow) == 1


def test_a_digest_goes_with_its_last_delivery(kept: KeptThings) -> None:
    with kept.database.transaction() as session:
        session.add(DigestRow(id="d" * 32, content="{}"))
    kept.task().turn(STOP)
    assert kept.count(DigestRow) == 0
