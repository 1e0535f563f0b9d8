"""Real processes on a real broker: a record on which each is killed costs itself and nothing else."""

import os
import subprocess
import sys
import uuid
from contextlib import closing

import pytest

from steadyline.contracts.topics import line_topics
from steadyline.kafka.broker import Message
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.kafka.loop.crash_guard import ENDED
from steadyline.settings import KafkaSettings
from tests.support.broker_steps import publish, values
from tests.support.deadly_worker import PARTITIONS
from tests.support.eventually import eventually

pytestmark = pytest.mark.servers

KILLED = -9


def test_a_record_that_gets_each_process_killed_is_dead_lettered_and_the_rest_is_scored(kafka: str) -> None:
    topics = line_topics(f"t{uuid.uuid4().hex[:10]}", PARTITIONS)
    command = [sys.executable, "-m", "tests.support.deadly_worker", kafka, topics.frames.name.split(".")[0]]
    command.append(f"g-{uuid.uuid4().hex}")
    good = [b"v%d" % n for n in range(8)]
    with closing(KafkaBroker(KafkaSettings(bootstrap_servers=kafka), "test")) as broker:
        broker.create_topics(list(topics))
        sent = [*good[:5], b"kill", *good[5:]]
        publish(
            broker,
            *(Message(topics.frames.name, b"c", value, (), n % PARTITIONS) for n, value in enumerate(sent)),
        )
        ended: list[int] = []
        process = subprocess.Popen(command, env=dict(os.environ))

        def is_done() -> bool:
            nonlocal process
            status = process.poll()
            if status is not None:
                ended.append(status)
                process = subprocess.Popen(command, env=dict(os.environ))
            return len(values(broker, topics.dead_letters)) == 1 and len(values(broker, topics.scores)) == 8

        try:
            eventually(is_done, within=300)
            process.terminate()
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.wait()
        assert sorted(filter(None, values(broker, topics.scores))) == [value.upper() for value in good]
        with closing(broker.reader("test")) as reader:
            (letter,) = reader.read(topics.dead_letters.name)
    assert letter.value == b"kill"
    assert dict(letter.headers)["reason"] == b"ended_processes"
    assert set(ended) == {KILLED}
    assert 2 * ENDED <= len(ended) <= 2 * ENDED + 3
