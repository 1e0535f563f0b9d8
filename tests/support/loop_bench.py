"""Loops on the in-memory twin that advance only when told to."""

import threading
from datetime import timedelta

from steadyline.clock import ManualClock
from steadyline.contracts.topics import Topics, line_topics
from steadyline.kafka.broker import Message
from steadyline.kafka.loop.in_hand import RecordHandler
from steadyline.kafka.loop.refused_records import DeadLetterPolicy
from steadyline.kafka.loop.stream_loop import LoopPolicy, Outputs, StreamLoop
from steadyline.kafka.memory.broker import MemoryBroker

TOPICS = line_topics("t", 3)
DEAD_LETTERS = DeadLetterPolicy(TOPICS.dead_letters.name)
AT_ONCE = LoopPolicy(DEAD_LETTERS, poll=timedelta(0), commit_every=timedelta(0))
STOP = threading.Event()


class LoopBench:
    """A broker in memory, its topics, and loops on it that advance only when told to."""

    def __init__(self, policy: LoopPolicy = AT_ONCE) -> None:
        self.clock = ManualClock()
        self.broker = MemoryBroker(self.clock)
        self.broker.create_topics(list(TOPICS))
        self.policy = policy

    def publish(self, *values: bytes, partition: int = 0) -> None:
        publisher = self.broker.publisher("test")
        for value in values:
            publisher.publish(Message(TOPICS.frames.name, b"k", value, (), partition), lambda _: None)

    def loop(self, handler: RecordHandler[Outputs], instance: str = "a", group: str = "g") -> StreamLoop:
        worker = self.broker.worker(group, instance, [TOPICS.frames.name])
        return StreamLoop(worker, handler, self.policy, self.clock)

    def read(self, topics: Topics = TOPICS, partition: int | None = None) -> list[bytes | None]:
        return self.values(topics.scores.name, partition)

    def values(self, topic: str, partition: int | None = None) -> list[bytes | None]:
        records = self.broker.reader("test").read(topic)
        return [record.value for record in records if partition in (None, record.partition.number)]


def turns(loop: StreamLoop, count: int) -> None:
    for _ in range(count):
        loop.turn(STOP)
