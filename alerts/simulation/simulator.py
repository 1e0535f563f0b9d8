"""Runs simulations beside the service, one at a time: they take long, and what reads the topics is urgent."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import Field

from alerts.simulation.compare import RuleComparison, compare
from alerts.simulation.frame import FrameWhy, why_frame
from alerts.simulation.reading import ReadingBounds, TopicRead, TopicReading, TopicSpan
from steadyline.clock import Clock
from steadyline.contracts.frame import FrameId
from steadyline.contracts.message import Part
from steadyline.daemon_pool import DaemonPool
from steadyline.errors import Backpressure
from steadyline.kafka.broker import Broker
from steadyline.kafka.model_events import EventSeal
from steadyline.line import Line

R = TypeVar("R")

_PATIENCE = 2.0  # seconds, for a simulation that is under way at a stop: it looks at the flag often


class SimulationBusy(Backpressure):
    """Another simulation is running in this process."""

    reason = "simulation_running"


class SimulatedRules(Part):
    """What would have differed, and of how much of the topics that is known."""

    comparison: RuleComparison
    topics: list[TopicRead] = Field(description="How far each topic was read, and where it was cut.")
    seconds: float = Field(description="How long it took.")

    @property
    def is_cut(self) -> bool:
        """True when not all of the span was read."""
        return any(topic.cut is not None for topic in self.topics)


class FoundFrame(Part):
    """A frame with its reasons, or how far it was looked for in vain."""

    why: FrameWhy | None
    topic: TopicRead


@dataclass(slots=True)
class Simulator:
    """Reads topics again and shows them to rules. Thread-safe; ``stop`` ends what is under way."""

    line: Line
    broker: Broker
    seal: EventSeal
    clock: Clock
    stop: threading.Event
    bounds: ReadingBounds = field(default_factory=ReadingBounds)
    _pool: DaemonPool = field(default_factory=lambda: DaemonPool(1, "simulation"))
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def compare_rules(self, proposed: Line, span: TopicSpan) -> Future[SimulatedRules]:
        """Show the span to the rules in force and to those of ``proposed``; raises SimulationBusy.

        The future raises BrokerUnavailable during an outage, and SimulationEnded at a stop.
        """

        def work() -> SimulatedRules:
            reading, began = self._reading(), self.clock.monotonic()
            found = compare(reading.observations(span), self.line, proposed)
            seconds = self.clock.monotonic() - began
            return SimulatedRules(comparison=found, topics=reading.told(), seconds=round(seconds, 3))

        return self._start(work)

    def explain_frame(self, frame: FrameId, span: TopicSpan) -> Future[FoundFrame]:
        """Replay the scores of a frame's camera in the span up to the frame; raises SimulationBusy.

        The future raises as that of ``compare_rules`` does.
        """

        def work() -> FoundFrame:
            reading = self._reading()
            why = why_frame(self.line, reading.scores(span, frame.camera.encode()), str(frame))
            return FoundFrame(why=why, topic=reading.told()[0])

        return self._start(work)

    def close(self) -> None:
        """Take no more; what is under way and does not end is left behind."""
        self._pool.close(_PATIENCE)

    def _start(self, work: Callable[[], R]) -> Future[R]:
        if not self._turn.acquire(blocking=False):
            raise SimulationBusy("another simulation is running in this process")

        def turn() -> R:
            try:
                return work()
            finally:
                self._turn.release()  # before anybody has the result, and asks for the next one

        try:
            future = self._pool.submit(turn)
        except BaseException:
            self._turn.release()
            raise
        future.add_done_callback(lambda done: self._turn.release() if done.cancelled() else None)
        return future

    def _reading(self) -> TopicReading:
        return TopicReading(self.broker, self.line, self.seal, self.clock, self.bounds, self.stop)
