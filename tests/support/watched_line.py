"""Watches of a line on the in-memory broker and a real database, with the rules as they are."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import event, select

from alerts.database.changes import ChangeWriter
from alerts.database.ingest import Ingest
from alerts.database.offset_store import OffsetStore
from alerts.database.tables import RuleStateRow
from alerts.incidents.line_rules import LineMemory
from alerts.incidents.rules import IncidentRules, RuleState
from alerts.line_watch.letters import LetterCounter
from alerts.line_watch.place import LineWatchPlace
from alerts.line_watch.watch import LineWatch, LineWatchParts, WatchedLine
from steadyline.errors import MalformedHeaders
from steadyline.kafka.broker import Message, Partition, Record
from steadyline.kafka.loop.dead_letter import dead_letter
from tests.support.alerts_bench import LINE, TOPICS, AlertsBench, CountState, NoOutbox, admit_all, never

SCORERS = "t.scorer"
EVERY = timedelta(seconds=5)
"""Between two measures."""


@dataclass(slots=True)
class WatchedBench:
    """A line whose frames, scores and dead letters a test writes."""

    alerts: AlertsBench
    _sent: int = field(default=0)

    def watch(self, holder: str = "a", at: Callable[[str], None] = never) -> LineWatch:
        """Return the watch of a process; ``at`` is told each transaction of the database that is written."""
        database, clock, broker = self.alerts.database(), self.alerts.clock, self.alerts.broker
        event.listen(database.engine, "commit", lambda _: at("written"))
        writer = ChangeWriter(NoOutbox(), admit_all, CountState())
        ingest = Ingest(database, OffsetStore({}), (IncidentRules(LINE), RuleState), writer, clock)
        letters = LetterCounter(broker, TOPICS.dead_letters.name, "test", clock)
        place = LineWatchPlace("test", holder, timedelta(seconds=30))
        parts = LineWatchParts(broker, database, ingest, letters, place)
        return LineWatch(WatchedLine("test", TOPICS, SCORERS), parts, clock)

    def send(self, frames: int = 0, scores: int = 0) -> None:
        """Write so many frames and scores; their content is nothing to the watch."""
        for topic, count in ((TOPICS.frames, frames), (TOPICS.scores, scores)):
            self.alerts.publish(*(Message(topic.name, b"k", b"v", (), n % 3) for n in range(count)))

    def refuse(self, count: int) -> None:
        """Write so many dead letters."""
        for _ in range(count):
            self._sent += 1
            place = Partition(TOPICS.frames.name, self._sent % 3)
            record = Record(place, self._sent, b"k", b"v", (), 0)
            letter = dead_letter(record, MalformedHeaders("bad"), TOPICS.dead_letters.name)
            self.alerts.publish(letter)

    def score_all(self) -> None:
        """Let the scorers commit every frame."""
        ends = self.alerts.broker.end_offsets([TOPICS.frames.name])
        worker = self.alerts.broker.worker(SCORERS, "s", [TOPICS.frames.name])
        worker.poll(timedelta(0))
        assert worker.commit([], ends)
        worker.close()

    def turns(self, watch: LineWatch, count: int = 1) -> None:
        """Measure so many times."""
        for _ in range(count):
            self.alerts.clock.advance(EVERY)
            watch.turn()

    def memory(self) -> LineMemory:
        """Return what the rules remember of the line."""
        with self.alerts.database().transaction() as session:
            content = session.scalars(select(RuleStateRow.content)).one()
        memory = RuleState.read(content.encode()).line
        assert memory is not None
        return memory

    def counted(self) -> dict[str, int]:
        """Return the dead letters that were counted, by reason."""
        found: dict[str, int] = {}
        for slot in self.memory().letters:
            for word, count in slot.reasons.items():
                found[word] = found.get(word, 0) + count
        return found

    def told(self) -> list[tuple[str, str]]:
        """Return (kind, change) of every change, in order."""
        kinds = {item.id: item.kind for item in self.alerts.incidents()}
        return [(kinds[incident], change) for incident, _, change in self.alerts.told()]
