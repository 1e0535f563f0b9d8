"""Topics that change below those who read them: made anew, or with more partitions."""

from collections.abc import Iterable, Sequence

from kafka import KafkaConsumer, TopicPartition

from steadyline.errors import ContractBroken
from steadyline.kafka.client.private_api import known_partitions, known_topic_id


class WatchedTopics:
    """The topics of a consumer as they were when it was first asked; it needs no request to look again."""

    def __init__(self, consumer: KafkaConsumer, topics: Sequence[str]) -> None:
        self._consumer, self._topics = consumer, tuple(topics)
        self._ids: dict[str, str] = {}

    def id_of(self, topic: str) -> str:
        """Return the id of a topic; empty while it is not known."""
        return self._ids.get(topic, "")

    def check(self) -> None:
        """Raise ContractBroken when a topic is another one than it was under its name."""
        for topic in self._topics:
            found = known_topic_id(self._consumer, topic)
            if found and self._ids.setdefault(topic, found) != found:
                raise ContractBroken(
                    f"topic {topic} was deleted and made anew while it was read (its id was "
                    f"{self._ids[topic]} and is {found}): its offsets begin again, start the process again"
                )

    def partitions(self) -> list[TopicPartition]:
        """Return the partitions that the topics have by now, as far as the client knows."""
        return [
            TopicPartition(topic, number)
            for topic in self._topics
            for number in sorted(known_partitions(self._consumer, topic))
        ]


class FixedPartitions:
    """Ends a worker whose topics grow: what it writes follows the partitions of what it reads."""

    def __init__(self, known: Iterable[TopicPartition]) -> None:
        self._known = frozenset(known)

    def check(self, now: Iterable[TopicPartition]) -> None:
        """Raise ContractBroken when a partition is there that was not when the process started."""
        if not self._known:
            self._known = frozenset(now)  # the topics were not there yet
        there = frozenset(now)
        for topic in sorted({tp.topic for tp in there - self._known}):
            had, has = (sum(tp.topic == topic for tp in some) for some in (self._known, there))
            raise ContractBroken(
                f"topic {topic} has {has} partitions and had {had} when this process started, as have the "
                "topics it writes: set topics.partitions of the line file to that number, run `steadyline "
                "topics create --mend`, which gives every topic as many, and start the process again"
            )
