"""Reading several topics from positions of the caller's own, committed records only."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from steadyline.kafka.broker import Partition, Record
from steadyline.kafka.client.connection import translated
from steadyline.kafka.client.private_api import known_positions, polled_records
from steadyline.kafka.client.reader import close_consumer, open_consumer
from steadyline.kafka.guards.deadline import CallThread
from steadyline.kafka.guards.lost_positions import POSITION_ERRORS, go_on_at_kept, say_lost
from steadyline.kafka.guards.standstill import StandstillWatch
from steadyline.kafka.guards.watched_topics import WatchedTopics
from steadyline.settings import KafkaSettings


class KafkaFollower:
    """See ``Follower``; one consumer over all topics, opened at the first poll.

    ``end_offsets`` gives the ends of all partitions of the topics, with what open transactions have written,
    and raises ContractBroken when a topic is missing.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        client: str,
        end_offsets: Callable[[], dict[Partition, int]],
        start: Mapping[Partition, int],
    ) -> None:
        self._settings, self._client = settings, client
        self._end_offsets, self._start = end_offsets, dict(start)
        self._calls = CallThread(client)
        self._consumer: KafkaConsumer | None = None
        self._positions: dict[Partition, int] = {}
        self._first_ends: dict[Partition, int] = {}
        self._topics: WatchedTopics | None = None
        self._standstill = StandstillWatch()

    def poll(self, wait: timedelta) -> Sequence[Record]:
        consumer = self._opened()
        try:
            polled = self._polled(consumer, wait)
        except KafkaError as error:
            self._go_back(consumer)
            raise translated(error, f"following as {self._client}") from error
        self._watch(consumer)
        self._standstill.look_at(consumer)
        found = [item for items in polled.values() for item in items]
        self._positions.update(
            {Partition(tp.topic, tp.partition): offset for tp, offset in known_positions(consumer).items()}
        )
        return found

    def positions(self) -> dict[Partition, int]:
        return dict(self._positions)

    def is_at_end(self) -> bool:
        return bool(self._positions) and all(
            self._positions[place] >= end for place, end in self._first_ends.items()
        )

    def close(self) -> None:
        self._calls.close()
        if self._consumer is not None and not self._calls.is_hung:
            close_consumer(self._consumer)
        self._consumer = None

    def _opened(self) -> KafkaConsumer:
        if self._consumer is not None:
            return self._consumer
        ends = self._end_offsets()
        try:
            consumer = open_consumer(self._settings, self._client, map(_theirs, ends))
        except KafkaError as error:
            raise translated(error, f"following as {self._client}") from error
        start = {place: offset for place, offset in self._start.items() if place in ends}
        for place, offset in start.items():
            if offset <= ends[place]:
                consumer.seek(_theirs(place), offset)
            else:
                say_lost(_theirs(place), offset, 0, "the topic ends before it: it may have been made anew")
                start[place] = 0
        self._positions, self._first_ends = {place: start.get(place, 0) for place in ends}, ends
        self._consumer = consumer
        return consumer

    def _polled(self, consumer: KafkaConsumer, wait: timedelta) -> dict[TopicPartition, list[Record]]:
        try:
            return polled_records(self._calls, consumer, wait)
        except POSITION_ERRORS as error:
            self._go_back(consumer)
            go_on_at_kept(consumer, error)
            return {}

    def _watch(self, consumer: KafkaConsumer) -> None:
        """Read what the topics have gained too; raises ContractBroken when one was made anew."""
        topics = self._topics or WatchedTopics(consumer, sorted({place.topic for place in self._positions}))
        self._topics = topics
        topics.check()
        assigned = consumer.assignment()
        added = [tp for tp in topics.partitions() if tp not in assigned]
        if added:
            before = known_positions(consumer)
            consumer.assign([*assigned, *added])
            consumer.seek_to_beginning(*added)
            for tp, offset in before.items():
                consumer.seek(tp, offset)

    def _go_back(self, consumer: KafkaConsumer) -> None:
        """Read on from what ``poll`` has returned.

        The client moves its positions before it asks for more records, and what it raises then takes the
        records with it that it was about to return.
        """
        for tp in known_positions(consumer):
            consumer.seek(tp, self._positions[Partition(tp.topic, tp.partition)])


def _theirs(place: Partition) -> TopicPartition:
    return TopicPartition(place.topic, place.number)
