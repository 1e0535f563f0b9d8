"""A broker that comes back and tells offsets of long ago makes no worker read again what it has committed."""

import shutil
from contextlib import closing, suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from steadyline.contracts.topics import Topics, line_topics
from steadyline.errors import BrokerUnavailable
from steadyline.kafka.broker import Message, Record, TransactionAborted, TransactionBroken, Worker
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.servers.stack import LocalStack
from steadyline.settings import KafkaSettings
from tests.support.broker_steps import SHORT, publish, values
from tests.support.eventually import eventually
from tests.support.servers import OwnStack

pytestmark = pytest.mark.servers

TOPICS = line_topics("t", 2)
COUNT = 30


class Copier:
    """Copies frames to scores, one transaction for all that came; it knows what it has in hand."""

    def __init__(self, worker: Worker, topics: Topics) -> None:
        self._worker, self._topics = worker, topics
        self._waiting: list[Record] = []
        self.copied = 0

    def copy(self, count: int) -> None:
        """Copy until ``count`` frames were copied in all, whatever the broker does meanwhile."""
        eventually(lambda: self._turn(count), within=120)

    def begin_again(self) -> None:
        """Read again from the committed offsets, as after a transaction of unknown outcome."""
        self._waiting = []
        self._worker.resync()

    def _turn(self, count: int) -> bool:
        with suppress(BrokerUnavailable, TransactionAborted):
            for records in self._worker.poll(SHORT).values():
                self._waiting.extend(records)
            lost = self._worker.take_lost()
            self._waiting = [record for record in self._waiting if record.partition not in lost]
            self._commit(self._waiting[: count - self.copied])
        return self.copied >= count

    def _commit(self, records: list[Record]) -> None:
        offsets = {record.partition: record.offset + 1 for record in records}
        scores = self._topics.scores.name
        messages = [Message(scores, b"c", one.value, (), one.partition.number) for one in records]
        try:
            if records and self._worker.commit(messages, offsets):
                self._waiting = self._waiting[len(records) :]
                self.copied += len(records)
        except TransactionBroken:
            self.begin_again()


def offsets_topic(stack: LocalStack) -> list[Path]:
    return sorted((stack.logs.parent / "kafka" / "data").glob("__consumer_offsets-*"))


def forget(stack: LocalStack, kept: Path) -> None:
    """Put the broker's offsets back to what they were when ``kept`` was made."""
    for folder in offsets_topic(stack):
        shutil.rmtree(folder)
        shutil.copytree(kept / folder.name, folder)


def keep(stack: LocalStack, kept: Path) -> None:
    for folder in offsets_topic(stack):
        shutil.copytree(folder, kept / folder.name)


def test_what_was_committed_is_not_read_again_when_the_broker_has_forgotten_it(
    own_stack: OwnStack, tmp_path: Path
) -> None:
    stack = own_stack("kafka")
    sent = [b"%d" % number for number in range(COUNT)]
    settings = KafkaSettings(bootstrap_servers=stack.addresses.kafka_bootstrap)
    with closing(KafkaBroker(settings, "test")) as broker:
        broker.create_topics(list(TOPICS))
        publish(
            broker, *(Message(TOPICS.frames.name, b"c", value, (), n % 2) for n, value in enumerate(sent))
        )
        with closing(broker.worker("g", "a", [TOPICS.frames.name])) as worker:
            copier = Copier(worker, TOPICS)
            copier.copy(COUNT // 3)
            # Without its marker the copy would hold a transaction that the broker, which has ended it since,
            # never ends a second time.
            eventually(lambda: sum(broker.committed_offsets("g").values()) == COUNT // 3)
            stack.kafka.kill9()
            keep(stack, tmp_path)
            stack.kafka.restart()
            copier.copy(2 * COUNT // 3)
            stack.kafka.kill9()
            forget(stack, tmp_path)
            stack.kafka.restart()
            with capture_logs() as lines:
                copier.begin_again()
                copier.copy(COUNT)
        assert sorted(filter(None, values(broker, TOPICS.scores))) == sorted(sent)
    assert any(line["event"] == "offset_went_back" for line in lines)
