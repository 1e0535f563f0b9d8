"""Measures the line every few seconds and lets the rules observe it; one process at a time does."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from alerts.database.connection import Database
from alerts.database.ingest import Ingest
from alerts.incidents.observation import LineSeen
from alerts.line_watch.letters import LetterCounter
from alerts.line_watch.metrics import FAILED
from alerts.line_watch.place import LineWatchPlace
from steadyline.clock import Clock
from steadyline.contracts.topics import Topics
from steadyline.errors import BrokerUnavailable, StoreUnavailable
from steadyline.kafka.broker import Broker, Partition
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

ANSWER_WITHIN = timedelta(seconds=60)  # several calls, each with a deadline of 10 s, and one reconnect
# What the rule state names as its source: no partition of a topic, so that time passes with the measures.
PLACE = Partition("line", 0)


@dataclass(frozen=True, slots=True)
class WatchedLine:
    """What is measured: the topics of ``line``, and the group that scores its frames."""

    line: str
    topics: Topics
    scorers: str

    @property
    def measured(self) -> list[str]:
        """The topics whose ends are asked for."""
        return [self.topics.frames.name, self.topics.scores.name, self.topics.dead_letters.name]


@dataclass(frozen=True, slots=True)
class LineStanding:
    """When this process last wrote a measure, by the monotonic clock, and the kinds that stand since then."""

    at: float
    kinds: frozenset[str]


@dataclass(frozen=True, slots=True)
class LineWatchParts:
    """What the watch works with; ``place`` is this process's name in the row of the line."""

    broker: Broker
    database: Database
    ingest: Ingest[Any]
    letters: LetterCounter
    place: LineWatchPlace


class LineWatch:
    """A task beside the intake.

    What was measured, what the rules make of it and how far the dead letters were counted change in one
    transaction: a process that is killed loses no letter and counts none twice.
    """

    def __init__(self, watched: WatchedLine, parts: LineWatchParts, clock: Clock) -> None:
        self._watched, self._clock = watched, clock
        self._broker, self._letters = parts.broker, parts.letters
        self._database, self._ingest, self._place = parts.database, parts.ingest, parts.place
        self._standing: LineStanding | None = None
        self._is_others = False

    @property
    def standing(self) -> LineStanding | None:
        """What was measured last; None before the first measure and while another process measures."""
        return self._standing

    @property
    def is_others(self) -> bool:
        """True while another process measures."""
        return self._is_others

    def run(self, every: timedelta, stop: threading.Event, beat: Callable[[timedelta], None]) -> None:
        """Work until ``stop``; ``beat`` is told each time how long the next one may take to come."""
        try:
            while not stop.is_set():
                beat(every + ANSWER_WITHIN)
                self.turn()
                self._clock.wait(stop, every)
        finally:
            self._letters.close()
        self._leave()

    def turn(self) -> None:
        """Measure once, unless another process does; what fails is covered by the next measure."""
        try:
            self._measure()
        except (BrokerUnavailable, StoreUnavailable) as error:
            FAILED.add(1, reason=error.reason)

    def _measure(self) -> None:
        with self._database.transaction() as session:
            before = self._place.take(session, self._clock.now())
        self._is_others = before is None
        if before is None:
            self._letters.close()
            self._standing = None
            return
        ends = self._broker.end_offsets(self._watched.measured)
        lag = self._lag(ends)
        letters, counted = self._letters.count(before, ends)
        frames, scores = (
            sum(end for place, end in ends.items() if place.topic == topic.name)
            for topic in (self._watched.topics.frames, self._watched.topics.scores)
        )
        seen = LineSeen(self._watched.line, self._clock.now(), frames, scores, lag, letters)
        incidents = self._ingest.take_beside(PLACE, seen, lambda session: self._place.note(session, counted))
        if incidents is None:
            return
        kinds = frozenset(incident.kind for incident in incidents)
        self._standing = LineStanding(self._clock.monotonic(), kinds)
        self._ingest.elapse([PLACE])

    def _lag(self, ends: Mapping[Partition, int]) -> int:
        """Return how many frames that are still kept the scorers have not committed."""
        frames = self._watched.topics.frames.name
        committed = self._broker.committed_offsets(self._watched.scorers)
        starts = self._broker.start_offsets([frames])
        return sum(
            max(0, end - max(committed.get(place, 0), starts.get(place, 0)))
            for place, end in ends.items()
            if place.topic == frames
        )

    def _leave(self) -> None:
        """Let another process go on at once."""
        try:
            with self._database.transaction() as session:
                self._place.leave(session)
        except StoreUnavailable as error:
            log.warning("line_watch_kept", reason=error.reason, error=str(error))  # until its time is over
