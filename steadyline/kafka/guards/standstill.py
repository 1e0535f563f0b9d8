"""Notices that committed records do not come although the topic has more: somebody's open transaction."""

import time
from collections.abc import Mapping
from datetime import timedelta

from kafka import KafkaConsumer, TopicPartition

from steadyline.kafka import metrics
from steadyline.kafka.client.private_api import known_positions
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

HELD_AFTER = timedelta(seconds=20)  # more than any transaction of ours lasts
SAID_EVERY = timedelta(minutes=1)
LOOKED_EVERY = 1.0
MEND = (
    "a producer that is not ours, or was killed, has a transaction open, and who reads committed records "
    "waits for it; it ends by itself after its transaction.timeout.ms, 15 minutes at most: "
    "`kafka-transactions.sh find-hanging` names it, `abort` ends it"
)


class StandstillWatch:
    """Watches the positions of one consumer; it is told of them after each poll that went well."""

    def __init__(self) -> None:
        self._stood: dict[TopicPartition, tuple[int, float]] = {}  # position, and since when
        self._looked = self._said = float("-inf")

    def look_at(self, consumer: KafkaConsumer) -> None:
        """Look at the positions of a consumer, once a second at most."""
        if time.monotonic() - self._looked < LOOKED_EVERY:
            return
        self._looked = time.monotonic()
        paused = consumer.paused()
        positions = {tp: at for tp, at in known_positions(consumer).items() if tp not in paused}
        self.look(positions, {tp: int(consumer.highwater(tp) or 0) for tp in positions}, self._looked)

    def look(
        self, positions: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int], now: float
    ) -> None:
        """Compare positions with those before and with the ends of the partitions, at a moment in seconds."""
        behind = {tp: at for tp, at in positions.items() if at < ends[tp]}
        self._stood = {
            tp: self._stood[tp] if tp in self._stood and self._stood[tp][0] == at else (at, now)
            for tp, at in behind.items()
        }
        held = [tp for tp, (_, since) in self._stood.items() if now - since >= HELD_AFTER.total_seconds()]
        for topic in {tp.topic for tp in positions}:
            count = sum(ends[tp] - positions[tp] for tp in held if tp.topic == topic)
            metrics.HELD_BACK.set(count, topic=topic)
        if held and now - self._said >= SAID_EVERY.total_seconds():
            self._said = now
            for tp in sorted(held):
                log.warning(
                    "held_by_open_transaction",
                    topic=tp.topic,
                    partition=tp.partition,
                    offset=positions[tp],
                    end=ends[tp],
                    error=MEND,
                )
