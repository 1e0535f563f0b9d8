"""Takes observations into the database: what they change and their offsets in one transaction."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import select, tuple_, update
from sqlalchemy.orm import Session

from alerts import metrics
from alerts.database import unlisted
from alerts.database.changes import ChangeWriter, count_changes
from alerts.database.connection import Database, insert_missing
from alerts.database.incident_store import IncidentStore, after_changes
from alerts.database.last_seen import note_seen
from alerts.database.offset_store import OffsetStore
from alerts.database.tables import ChangeRow, RuleStateRow
from alerts.incidents.change import woken
from alerts.incidents.incident import Incident, IncidentChange
from alerts.incidents.observation import LineSeen, ModelSeen, Observation, ScoreSeen, StatusSeen, scope_of
from steadyline.clock import Clock
from steadyline.contracts.message import Part
from steadyline.contracts.score import Score
from steadyline.kafka.broker import Partition
from steadyline.kafka.loop.in_hand import next_offsets
from steadyline.kafka.loop.partition_queue import TakenRecord

Taken = TakenRecord[Observation | None]  # None: nothing is to be made of it

S = TypeVar("S", bound=Part)
S_co = TypeVar("S_co", bound=Part, covariant=True)

# Writes what is to be kept of the scores that are taken, in the transaction that takes them.
NoteScores = Callable[[Session, Sequence[Score], datetime], None]

_STILL_STANDS = "nobody was notified of it, because it was old when it was read, and it still stands"

MOST_SCOPES = 50  # whose time passes in one transaction: others wait for it


class RulesStep(Protocol[S_co]):
    """What the rules make of one observation."""

    @property
    def state(self) -> S_co:
        """What they remember now."""
        ...

    @property
    def changes(self) -> Sequence[IncidentChange]:
        """What changes, in order."""
        ...

    @property
    def ignored(self) -> str | None:
        """The fixed word why the observation was passed over; None when it was not."""
        ...


class Rules(Protocol[S]):
    """The rules of incidents; pure. Of one scope they remember a state, which is kept between two steps."""

    def observe(
        self, state: S | None, open_incidents: Sequence[Incident], observation: Observation
    ) -> RulesStep[S]:
        """Return what an observation changes; ``open_incidents`` are those of its scope that are not over."""
        ...

    def elapsed(self, state: S, open_incidents: Sequence[Incident], now: datetime) -> RulesStep[S]:
        """Return what time alone changes."""
        ...


@dataclass(slots=True)
class _Scope(Generic[S]):
    """One scope within a transaction."""

    state: S | None
    incidents: list[Incident]
    changes: list[IncidentChange] = field(default_factory=list)
    is_changed: bool = False
    ignored: list[str] = field(default_factory=list)

    def take(self, step: RulesStep[S]) -> None:
        self.ignored += [step.ignored] if step.ignored is not None else []
        self.is_changed |= bool(step.changes) or step.state != self.state
        self.state = step.state
        self.changes.extend(step.changes)
        self.incidents = after_changes(self.incidents, [change.incident for change in step.changes])

    def wake(self, change: IncidentChange) -> None:
        self.is_changed = True
        self.changes.append(change)
        self.incidents = after_changes(self.incidents, [change.incident])


class Ingest(Generic[S]):
    """Writes what the rules make of records and of time.

    Locks are taken in one order: offsets, then rule states, each ascending, then the notification limit; so
    processes wait for one another and never in a circle. What an incident or a rule state says is read behind
    its lock, every time: nothing is remembered from one transaction to the next, so that it does not matter
    which process had the partition before, or who has acknowledged an incident meanwhile.
    """

    def __init__(
        self,
        database: Database,
        offsets: OffsetStore,
        rules: tuple[Rules[S], type[S]],
        writer: ChangeWriter[Any],
        clock: Clock,
    ) -> None:
        """Stand on ``rules`` and the class of their states."""
        self._database, self._offsets = database, offsets
        self._rules, self._kind = rules
        self._writer, self._clock = writer, clock
        self._incidents = IncidentStore()
        self._notes: list[NoteScores] = []

    def also(self, note: NoteScores) -> None:
        """Call ``note`` within each transaction that takes scores; to be said before the first."""
        self._notes.append(note)

    def positions(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """Return the next offset of each partition by the database; raises StoreUnavailable."""
        with self._database.transaction() as session:
            return self._offsets.read(session, partitions)

    def write(self, entries: Sequence[Taken]) -> None:
        """Take finished records, in order per partition; what the database has already is passed over.

        Raises StoreUnavailable; nothing has changed then, or, where the connection was lost within the
        commit, everything has, and the next call passes it over.
        """
        offsets = next_offsets(entries)
        with self._database.transaction() as session:
            known = self._offsets.lock(session, offsets)
            fresh = [entry for entry in entries if entry.record.offset >= known[entry.record.partition]]
            observed = _observations(fresh)
            taken = unlisted.within_bounds(session, observed)
            scopes = self._observe(session, taken)
            self._note(session, taken)
            note_seen(session, [observation for _, observation in taken])
            rows = self._store(session, scopes)
            ahead = {place: offset for place, offset in offsets.items() if offset > known[place]}
            self._offsets.advance(session, ahead)
        count_changes(rows)
        metrics.SKIPPED.add(len(entries) - len(fresh))
        self._count(fresh, taken)
        metrics.PASSED_OVER.add(len(observed) - len(taken), reason=unlisted.PASSED_OVER)
        for word in chain.from_iterable(scope.ignored for scope in scopes.values()):
            metrics.PASSED_OVER.add(1, reason=word)

    def take_beside(
        self, place: Partition, observation: Observation, admit: Callable[[Session], bool]
    ) -> list[Incident] | None:
        """Take an observation that comes from no topic; ``place`` is what ``elapse`` is to call its source.

        ``admit`` is called first, in the same transaction, and writes what must change with it; where it
        returns False nothing changes. Returns the incidents of the scope that are not over then, None when it
        was not admitted. Raises StoreUnavailable, see ``write``.
        """
        with self._database.transaction() as session:
            if not admit(session):
                return None
            (scope,) = (scopes := self._observe(session, [(place, observation)])).values()
            rows = self._store(session, scopes)
        count_changes(rows)
        self._count_observation(observation)
        return scope.incidents

    def elapse(self, partitions: Collection[Partition]) -> None:
        """Let time pass for the scopes whose records come from these partitions; raises StoreUnavailable."""
        now = self._clock.now()
        with self._database.transaction() as session:
            place = tuple_(RuleStateRow.topic, RuleStateRow.partition)
            ours = place.in_([(item.topic, item.number) for item in partitions])
            wanted = sorted(session.scalars(select(RuleStateRow.scope).where(ours)))
        for begin in range(0, len(wanted), MOST_SCOPES):
            some = wanted[begin : begin + MOST_SCOPES]
            with self._database.transaction() as session:
                due = [name for name, scope in self._elapsed(session, some, now).items() if scope.is_changed]
            if due:
                self._write_elapsed(due, now)

    def _note(self, session: Session, taken: Sequence[tuple[Partition, Observation]]) -> None:
        scores = [seen.score for _, seen in taken if isinstance(seen, ScoreSeen)]
        for note in self._notes if scores else ():
            note(session, scores, self._clock.now())

    def _write_elapsed(self, scopes: Sequence[str], now: datetime) -> None:
        with self._database.transaction() as session:
            self._lock_scopes(session, scopes)
            rows = self._store(session, self._elapsed(session, scopes, now))
        count_changes(rows)

    def _elapsed(self, session: Session, scopes: Sequence[str], now: datetime) -> dict[str, _Scope[S]]:
        loaded = self._load(session, scopes)
        for scope in loaded.values():
            if scope.state is not None:
                scope.take(self._rules.elapsed(scope.state, scope.incidents, now))
        for name, old in self._incidents.unheard(session, scopes):
            if old in loaded[name].incidents:  # nothing has changed of it just now
                loaded[name].wake(woken(old, now, _STILL_STANDS))
        return loaded

    def _observe(
        self, session: Session, observations: Sequence[tuple[Partition, Observation]]
    ) -> dict[str, _Scope[S]]:
        if not observations:
            return {}
        by_scope: dict[str, list[Observation]] = defaultdict(list)
        places: dict[str, Partition] = {}
        for place, observation in observations:
            name = scope_of(observation)
            by_scope[name].append(observation)
            places[name] = place
        self._claim(session, places)
        loaded = self._load(session, sorted(by_scope))
        for name, scope in loaded.items():
            for observation in by_scope[name]:
                scope.take(self._rules.observe(scope.state, scope.incidents, observation))
        return loaded

    def _claim(self, session: Session, places: Mapping[str, Partition]) -> None:
        """Lock scopes, those seen for the first time too, and note which partition each comes from."""
        new = [
            {"scope": scope, "content": "", "topic": place.topic, "partition": place.number}
            for scope, place in sorted(places.items())
        ]
        insert_missing(session, RuleStateRow, new)
        for scope, known in self._lock_scopes(session, sorted(places)).items():
            now = places[scope]
            if known != now:
                row = update(RuleStateRow).where(RuleStateRow.scope == scope)
                session.execute(row.values(topic=now.topic, partition=now.number))

    @staticmethod
    def _lock_scopes(session: Session, scopes: Sequence[str]) -> dict[str, Partition]:
        rows = (
            select(RuleStateRow.scope, RuleStateRow.topic, RuleStateRow.partition)
            .where(RuleStateRow.scope.in_(scopes))
            .order_by(RuleStateRow.scope)
            .with_for_update()
        )
        return {scope: Partition(topic, number) for scope, topic, number in session.execute(rows)}

    def _load(self, session: Session, scopes: Sequence[str]) -> dict[str, _Scope[S]]:
        rows = select(RuleStateRow.scope, RuleStateRow.content).where(RuleStateRow.scope.in_(scopes))
        contents: dict[str, str] = {scope: content for scope, content in session.execute(rows)}
        incidents = self._incidents.not_over(session, scopes)
        return {scope: _Scope(self._state(contents[scope]), incidents.get(scope, [])) for scope in scopes}

    def _state(self, content: str) -> S | None:
        return self._kind.read(content.encode()) if content else None

    def _store(self, session: Session, scopes: Mapping[str, _Scope[S]]) -> list[ChangeRow]:
        """Write rule states, then changes: the limit's lock is taken last, because everybody waits for it."""
        now = self._clock.now()
        for name, scope in scopes.items():
            if scope.is_changed and scope.state is not None:
                row = update(RuleStateRow).where(RuleStateRow.scope == name)
                session.execute(row.values(content=scope.state.model_dump_json()))
        changes = {name: scope.changes for name, scope in scopes.items()}
        return self._writer.write_all(session, changes, now)

    def _count(self, entries: Sequence[Taken], taken: Sequence[tuple[Partition, Observation]]) -> None:
        for _, observation in taken:
            self._count_observation(observation)
        passed_over = [entry for entry in entries if entry.refusal is None and entry.result.result() is None]
        metrics.PASSED_OVER.add(len(passed_over), reason="unknown_camera")

    def _count_observation(self, observation: Observation) -> None:
        match observation:
            case ScoreSeen(score):
                metrics.OBSERVATIONS.add(1, kind="score")
                delay = self._clock.now() - score.captured_at
                metrics.CAPTURE_TO_DATABASE.record(delay.total_seconds())
            case StatusSeen():
                metrics.OBSERVATIONS.add(1, kind="status")
            case ModelSeen():
                metrics.OBSERVATIONS.add(1, kind="model")
            case LineSeen():
                metrics.OBSERVATIONS.add(1, kind="line")


def _observations(entries: Sequence[Taken]) -> list[tuple[Partition, Observation]]:
    found = [(entry.record.partition, entry.result.result()) for entry in entries if entry.refusal is None]
    return [(place, observation) for place, observation in found if observation is not None]
