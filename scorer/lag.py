"""Measure how far the consumer group is behind, per partition, as a metric."""

import threading
from collections.abc import Callable
from datetime import timedelta

from scorer import metrics
from steadyline.clock import Clock
from steadyline.errors import BrokerUnavailable
from steadyline.kafka.broker import Broker, Partition

ANSWER_WITHIN = timedelta(seconds=60)  # several calls, each with a deadline of 10 s, and one reconnect


def measure_lag(broker: Broker, group: str, topic: str) -> dict[Partition, int]:
    """Return the number of frames not committed yet by partition; raises BrokerUnavailable."""
    ends = broker.end_offsets([topic])
    committed = broker.committed_offsets(group)
    return {partition: end - committed.get(partition, 0) for partition, end in ends.items()}


class LagMeter:
    """Measures at intervals on a thread of its own, because the broker may take seconds to answer."""

    def __init__(self, broker: Broker, group: str, topic: str, every: timedelta, clock: Clock) -> None:
        self._broker, self._group, self._topic = broker, group, topic
        self._every, self._clock = every, clock

    def run(self, stop: threading.Event, beat: Callable[[timedelta], None]) -> None:
        """Measure until ``stop``; ``beat`` is told each time how long the next one may take to come."""
        while not stop.is_set():
            beat(self._every + ANSWER_WITHIN)
            try:
                for partition, frames in measure_lag(self._broker, self._group, self._topic).items():
                    metrics.LAG.set(frames, partition=partition.number)
            except BrokerUnavailable as error:
                metrics.LAG_FAILURES.add(1, reason=error.reason)
            self._clock.wait(stop, self._every)
