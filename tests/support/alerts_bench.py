"""The intake of alerts on the in-memory broker and a real database; each loop is a new process to them.

``python -m tests.support.alerts_bench URL MOMENT N`` takes a topic that is always the same into a database,
and kills itself at the N-th time of a moment; with N = 0 it ends in order.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import event, select
from sqlalchemy.orm import Session
from typing_extensions import override

from alerts.database.changes import ChangeWriter, Holds, Outbox, ToldChange
from alerts.database.connection import Database
from alerts.database.ingest import Ingest, Taken
from alerts.database.migration import migrate
from alerts.database.offset_store import OffsetStore
from alerts.database.tables import ChangeRow, IncidentRow, OffsetRow, RuleStateRow
from alerts.incidents.incident import Incident, IncidentChange, incident_id
from alerts.incidents.limit import HeldBy
from alerts.incidents.observation import LineSeen, ModelSeen, Observation, ScoreSeen, StatusSeen
from alerts.intake.decode import RecordDecoder
from alerts.intake.handler import ObservationHandler
from alerts.intake.loop import IntakeLoop, IntakeParts, IntakePolicy
from alerts.intake.model_history import ModelHistory
from alerts.intake.progress import IntakeProgress
from alerts.intake.rewind import Rewind
from alerts.intake.timekeeper import TimeKeeper
from steadyline.clock import ManualClock
from steadyline.contracts.alert import AlertChange
from steadyline.contracts.camera_status import CameraState, CameraStatus
from steadyline.contracts.message import Part
from steadyline.contracts.model_event import ModelEvent
from steadyline.contracts.score import Peak, Score
from steadyline.contracts.topics import line_topics
from steadyline.errors import StoreUnavailable
from steadyline.kafka.broker import Message, Partition, Worker
from steadyline.kafka.loop.in_hand import QueueLimits
from steadyline.kafka.loop.refused_records import DeadLetterPolicy
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.kafka.model_events import EventSeal
from steadyline.line import Line

LINE = Line.model_validate(
    {
        "line": "test",
        "topics": {"prefix": "t", "partitions": 3},
        "products": {"cell": {}},
        "cameras": [{"id": f"east-{n}", "product": "cell", "source": "folder:."} for n in range(4)],
    }
)
TOPICS = line_topics("t", 3)
READ = [TOPICS.scores.name, TOPICS.camera_status.name, TOPICS.model_events.name]
START = datetime(2026, 1, 1, tzinfo=UTC)
SCORES = 24  # of the topic that is always the same
POLICY = IntakePolicy(
    DeadLetterPolicy(TOPICS.dead_letters.name),
    poll=timedelta(0),
    idle=timedelta(0),
    store_every=timedelta(0),
    commit_every=timedelta(0),
    queues=QueueLimits(high=8, low=4),
    transaction_records=5,
)
TRACEPARENT = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
STOP = threading.Event()
MOMENTS = ("written", "stored", "committing", "committed")
At = Callable[[str], None]


class SeenState(Part):
    """What the rules of these tests remember: everything, in order."""

    seen: tuple[str, ...] = ()


class NoOutbox:
    """Delivers nothing."""

    def enqueue(self, session: Session, told: Sequence[ToldChange]) -> None:
        """Add nothing."""


@dataclass(frozen=True, slots=True)
class SeenStep:
    """One step of these rules."""

    state: SeenState
    changes: tuple[IncidentChange, ...] = ()
    ignored: str | None = None


def _name(observation: Observation) -> tuple[str, datetime]:
    match observation:
        case ScoreSeen(score):
            return score.frame, score.captured_at
        case StatusSeen(status):
            return f"{status.state}@{status.at:%H:%M:%S}", status.at
        case ModelSeen(found):
            return f"event {found.sequence}", found.at
        case LineSeen():
            return f"line@{observation.at:%H:%M:%S}", observation.at


def _changed(item: Incident, change: AlertChange, at: datetime, **fields: object) -> IncidentChange:
    after = item.with_changes(sequence=item.sequence + 1, changed_at=at, **fields)
    return IncidentChange(after, change, f"{change} at {at}")


class OpenAndShut:
    """Rules that open an incident with each anomalous score, and shut it with the next normal one.

    An incident that stands for a minute rises.
    """

    def observe(
        self, state: SeenState | None, open_incidents: Sequence[Incident], observation: Observation
    ) -> SeenStep:
        name, moment = _name(observation)
        after = SeenState(seen=(*(state.seen if state else ()), name))
        match observation:
            case ScoreSeen(score, traceparent) if score.verdict == "anomalous" and not open_incidents:
                made = Incident(
                    id=incident_id("test", "anomaly", f"camera/{score.camera}", name),
                    kind="anomaly",
                    severity="warning",
                    state="open",
                    summary=f"{name} is anomalous",
                    sequence=1,
                    opened_at=moment,
                    changed_at=moment,
                    camera=score.camera,
                    product=score.product,
                    traceparent=traceparent,
                )
                return SeenStep(after, (IncidentChange(made, "opened", f"{name} is anomalous"),))
            case ScoreSeen(score) if score.verdict == "normal":
                ended = [_changed(item, "resolved", moment, state="resolved") for item in open_incidents]
                return SeenStep(after, tuple(ended))
            case _:
                merged = [IncidentChange(item, None, "merged") for item in open_incidents]
                return SeenStep(after, tuple(merged))

    def elapsed(self, state: SeenState, open_incidents: Sequence[Incident], now: datetime) -> SeenStep:
        old = [
            item
            for item in open_incidents
            if item.severity != "critical" and now - item.opened_at >= timedelta(minutes=1)
        ]
        return SeenStep(state, tuple(_changed(item, "risen", now, severity="critical") for item in old))


class CountState(Part):
    """How many changes the limit of these tests has admitted."""

    admitted: int = 0


def admit_all(
    state: CountState, change: IncidentChange, held_already: HeldBy | None = None
) -> tuple[CountState, HeldBy | None, int]:
    """Admit every change, and count it."""
    return CountState(admitted=state.admitted + 1), held_already, 0


def never(moment: str) -> None:
    """Die at no moment."""


@dataclass(slots=True)
class MortalWorker:
    """A worker whose process may end before and after each commit to the group."""

    inner: Worker
    at: At

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def commit(
        self,
        messages: Sequence[Message],
        offsets: Mapping[Partition, int],
        notes: Mapping[Partition, str] | None = None,
    ) -> bool:
        self.at("committing")
        done = self.inner.commit(messages, offsets, notes)
        self.at("committed")
        return done


class MortalIngest(Ingest[SeenState]):
    """An intake whose process may end after each transaction of the database."""

    at: At
    first: Sequence[Taken] = ()  # what its first transaction took
    is_away = False  # the database, for records

    @override
    def write(self, entries: Sequence[Taken]) -> None:
        if self.is_away:
            raise StoreUnavailable("as told")
        super().write(entries)
        self.first = self.first or entries
        self.at("stored")


@dataclass(slots=True)
class IntakeProcess:
    """One process of the bench: its loop, its task of time, what they stand on."""

    loop: IntakeLoop
    keeper: TimeKeeper
    database: Database
    worker: Worker
    ingest: MortalIngest


@dataclass(slots=True)
class AlertsBench:
    """A broker in memory and the address of a database."""

    url: str
    policy: IntakePolicy = POLICY
    line: Line = LINE
    outbox: Outbox = field(default_factory=NoOutbox)
    rules: OpenAndShut = field(default_factory=OpenAndShut)
    holds: Holds | None = None
    seal: EventSeal = field(default_factory=lambda: EventSeal("test"))
    ids: Mapping[str, str] | None = None  # of the topics, in place of those that the broker gives
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    broker: MemoryBroker = field(init=False)
    _databases: list[Database] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.broker = MemoryBroker(self.clock)
        self.broker.create_topics(list(TOPICS))
        migrate(self.database())

    def database(self) -> Database:
        """Return connections of one's own to the database."""
        self._databases.append(Database(self.url))
        return self._databases[-1]

    def process(self, instance: str = "a", at: At = never) -> IntakeProcess:
        """Return a process that joins the group; ``at`` is told each moment, and may end it by raising."""
        database = self.database()
        event.listen(database.engine, "commit", lambda _: at("written"))
        joined = self.broker.worker("t.alerts", instance, READ)
        worker: Worker = MortalWorker(joined, at)  # type: ignore[assignment]
        offsets = OffsetStore(self.ids or self.broker.topic_ids(READ))
        writer = ChangeWriter(self.outbox, admit_all, CountState(), self.holds)
        ingest = MortalIngest(database, offsets, (self.rules, SeenState), writer, self.clock)
        ingest.at = at
        progress = IntakeProgress(self.clock)
        history = ModelHistory(lambda: self.broker.reader("test"), self.seal)
        handler = ObservationHandler(TOPICS, RecordDecoder(self.line, self.clock), history)
        rewind = Rewind(self.broker, "t.alerts", worker, ingest)
        parts = IntakeParts(worker, handler, ingest, rewind, progress)
        keeper = TimeKeeper(self.broker, READ, ingest, progress, self.clock)
        return IntakeProcess(IntakeLoop(parts, self.policy, self.clock), keeper, database, worker, ingest)

    def publish(self, *messages: Message) -> None:
        """Write messages."""
        publisher = self.broker.publisher("test")
        for message in messages:
            publisher.publish(message, lambda _: None)

    def close(self) -> None:
        """Close every connection."""
        for database in self._databases:
            database.close()

    def seen(self) -> dict[str, list[str]]:
        """Return scope → everything that the rules were shown, in order."""
        with self._databases[0].transaction() as session:
            rows = session.execute(select(RuleStateRow.scope, RuleStateRow.content))
            return {scope: list(SeenState.read(content.encode()).seen) for scope, content in rows}

    def told(self) -> list[tuple[str, int, str]]:
        """Return (incident, sequence, change) of every change, in the order of their numbers."""
        with self._databases[0].transaction() as session:
            rows = select(ChangeRow.incident, ChangeRow.sequence, ChangeRow.change).order_by(ChangeRow.id)
            return [(incident, number, change) for incident, number, change in session.execute(rows)]

    def incidents(self) -> list[Incident]:
        """Return every incident, those opened first first."""
        with self._databases[0].transaction() as session:
            rows = select(IncidentRow.content).order_by(IncidentRow.opened_at, IncidentRow.id)
            return [Incident.read(content.encode()) for content in session.scalars(rows)]

    def offsets(self) -> dict[Partition, int]:
        """Return the next offsets of the database."""
        with self._databases[0].transaction() as session:
            return {
                Partition(row.topic, row.partition): row.next for row in session.scalars(select(OffsetRow))
            }

    def letters(self) -> list[tuple[str, bytes | None]]:
        """Return (reason, value) of every dead letter."""
        records = self.broker.reader("test").read(TOPICS.dead_letters.name)
        return sorted((dict(item.headers)["reason"].decode(), item.value) for item in records)


def a_score(sequence: int, camera: str = "east-1", anomalous: bool = False, **fields: object) -> Score:
    """Return the score of a frame, a second after the one before it."""
    moment = START + timedelta(seconds=sequence)
    whole = {
        "frame": f"{camera}/7/{sequence}",
        "camera": camera,
        "product": "cell",
        "captured_at": moment,
        "scored_at": moment,
        "model_version": 1,
        "score": 3.0 if anomalous else 1.0,
        "p_value": 0.01 if anomalous else 0.7,
        "threshold": 2.0,
        "threshold_version": 1,
        "verdict": "anomalous" if anomalous else "normal",
        "peak": Peak(x=0, y=0, value=0),
        "source_partition": 0,
        "source_offset": sequence,
    }
    return Score.model_validate({**whole, **fields})


def a_status(camera: str, second: int, state: CameraState = "up") -> CameraStatus:
    """Return a status of a camera that has captured nothing."""
    moment = START + timedelta(seconds=second)
    counts = {"sequence": 0, "captured": 0, "published": 0, "pending": 0}
    whole = {"camera": camera, "product": "cell", "epoch": 7, "at": moment, "state": state, "reason": "ok"}
    return CameraStatus.model_validate({**whole, **counts})


def score_message(score: Score, partition: int = 0, line: str = "test") -> Message:
    """Return a score as the scorer writes it."""
    headers = score.headers(line, score.camera, score.scored_at, TRACEPARENT)
    return Message(TOPICS.scores.name, score.camera.encode(), score.encode(), headers, partition)


def status_message(status: CameraStatus) -> Message:
    """Return a status as producers write it."""
    key = f"{status.camera}/{status.epoch}"
    headers = status.headers("test", key, status.at)
    return Message(TOPICS.camera_status.name, key.encode(), status.encode(), headers)


def event_message(event: ModelEvent, seal: EventSeal) -> Message:
    """Return a model event as a trainer with this seal writes it."""
    return Message(TOPICS.model_events.name, event.product.encode(), event.encode(), seal.headers(event))


def bad_message(value: bytes, partition: int = 0) -> Message:
    """Return a message of no contract."""
    return Message(TOPICS.scores.name, b"east-1", value, (), partition)


def the_inputs() -> list[Message]:
    """Return the topic that is always the same: two cameras, every third score anomalous, some bad."""
    scores = [a_score(n, f"east-{n % 2}", anomalous=n % 3 == 0) for n in range(1, SCORES + 1)]
    messages = [score_message(score) for score in scores]
    for place in (3, 9, 10, 20):
        messages.insert(place, bad_message(b"bad%d" % place))
    return messages


def turns(process: IntakeProcess, count: int = 60) -> None:
    """Turn a loop so many times."""
    for _ in range(count):
        process.loop.turn(STOP)


def run_to_the_end(url: str, moment: str, nth: int) -> None:
    """Take ``the_inputs`` into the database; kill this process at the ``nth`` time of a moment."""
    left = nth

    def at(now: str) -> None:
        nonlocal left
        left -= now == moment
        if now == moment and left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    bench = AlertsBench(url, ids={topic: f"id of {topic}" for topic in READ})
    bench.publish(*the_inputs())
    loop = bench.process(at=at).loop
    for _ in range(2 * SCORES):
        loop.turn(STOP)
    bench.close()


if __name__ == "__main__":
    run_to_the_end(sys.argv[1], sys.argv[2], int(sys.argv[3]))
