"""A worker polls for milliseconds and works in between: its group must settle all the same."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from steadyline.contracts.topics import line_topics
from steadyline.kafka.broker import Message
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.kafka.client.worker import KafkaWorker
from steadyline.settings import KafkaSettings
from tests.support.broker_steps import publish
from tests.support.eventually import eventually

pytestmark = pytest.mark.servers


def test_a_group_settles_although_its_members_hardly_ever_wait(kafka: str) -> None:
    settings, group = KafkaSettings(bootstrap_servers=kafka), f"g-{uuid.uuid4().hex}"
    topics = line_topics(f"t{uuid.uuid4().hex[:10]}", 3)
    broker = KafkaBroker(settings, "test")
    broker.create_topics(list(topics))
    frames = topics.frames.name
    publish(broker, *(Message(frames, b"c", b"1", (), number) for number in range(3)))
    members: list[Any] = []

    def everyone_has_one() -> bool:
        """Poll each for a millisecond; ``eventually`` waits fifty before the next time."""
        for member in members:
            member.poll(timedelta(milliseconds=1))
            member.take_lost()
        return all(len(member._consumer.assignment()) == 3 // len(members) for member in members)

    for name in ("w1", "w2", "w3"):
        members.append(KafkaWorker(settings, group, name, [frames]))
        if name != "w2":  # two members cannot share three partitions evenly
            eventually(everyone_has_one, 20, "a settled group")
    generation = members[0]._consumer._coordinator._generation.generation_id
    assert generation <= 12, "the group was made anew again and again"
    for member in members:
        member.close()
    broker.close()
