"""Lets time pass for the rules, and measures how far the database is behind the topics."""

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from alerts import metrics
from alerts.database.ingest import Ingest
from alerts.intake.progress import IntakeProgress
from steadyline.clock import Clock
from steadyline.errors import BrokerUnavailable, StoreUnavailable
from steadyline.kafka import metrics as loop_metrics
from steadyline.kafka.broker import Broker, Partition

ANSWER_WITHIN = timedelta(seconds=60)  # several calls, each with a deadline of 10 s, and one reconnect


class TimeKeeper:
    """A task beside the loop, because broker and database may take seconds to answer.

    What is at its end was measured one round ago: what has come since then is no reason to wait.
    """

    def __init__(
        self,
        broker: Broker,
        topics: Sequence[str],
        ingest: Ingest[Any],
        progress: IntakeProgress,
        clock: Clock,
    ) -> None:
        self._broker, self._topics, self._ingest = broker, topics, ingest
        self._progress, self._clock = progress, clock
        self._ends: dict[Partition, int] = {}

    def run(self, every: timedelta, stop: threading.Event, beat: Callable[[timedelta], None]) -> None:
        """Work until ``stop``; ``beat`` is told each time how long the next one may take to come."""
        while not stop.is_set():
            beat(every + ANSWER_WITHIN)
            self.turn()
            self._clock.wait(stop, every)

    def turn(self) -> None:
        """Let time pass once for every partition of ours that is read to its end."""
        try:
            at_end = self._progress.at_end(self._ends)
            self._ends = self._broker.end_offsets(self._topics)
            self._measure()
            if at_end:
                self._ingest.elapse(at_end)
        except BrokerUnavailable as error:
            self._ends = {}
            metrics.LAG_FAILURES.add(1, reason=error.reason)
        except StoreUnavailable as error:
            loop_metrics.HELD.add(1, reason=error.reason)

    def _measure(self) -> None:
        for place, offset in self._progress.next_offsets().items():
            behind = max(0, self._ends.get(place, offset) - offset)
            metrics.LAG.set(behind, topic=place.topic, partition=place.number)
