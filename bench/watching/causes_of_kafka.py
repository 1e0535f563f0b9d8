"""The causes of alerts about the broker, and about what it has lost, made for real."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer, TopicPartition

from bench.watching.cause import Cause, named
from bench.watching.frozen import freezing
from bench.watching.line import SCORERS, ObservedLine

UNREAD_SECONDS = 5.0
DRAINED_WITHIN = 60.0
NOTHING_SCORED = "sum(rate(scorer_frames_scored_total[10s])) == 0"


@contextmanager
def _open_transaction(line: ObservedLine) -> Iterator[None]:
    """Write to the frames in a transaction, and leave it open."""
    bootstrap = line.stack.addresses.kafka_bootstrap
    producer: Any = KafkaProducer(
        bootstrap_servers=bootstrap, transactional_id="stranger", transaction_timeout_ms=600_000
    )
    try:
        producer.init_transactions()
        producer.begin_transaction()
        for partition in range(2):
            producer.send(line.topics.frames.name, b"no picture", b"x", partition=partition)
        producer.flush(20)
        yield
    finally:
        producer.abort_transaction()
        producer.close()


@contextmanager
def _while_nobody_reads(line: ObservedLine) -> Iterator[None]:
    """End the scorers, and start them again at the end: there are frames then that none has read."""
    for name in SCORERS:
        line.kill(name)
    try:
        time.sleep(UNREAD_SECONDS)
        yield
    finally:
        for name in SCORERS:
            line.start(name)


@contextmanager
def _deleted_frames(line: ObservedLine) -> Iterator[None]:
    with _while_nobody_reads(line):
        admin: Any = KafkaAdminClient(bootstrap_servers=line.stack.addresses.kafka_bootstrap)
        ends = line.broker.end_offsets([line.topics.frames.name])
        admin.delete_records({TopicPartition(one.topic, one.number): end for one, end in ends.items()})
        admin.close()
    yield


@contextmanager
def _damaged_frames(line: ObservedLine) -> Iterator[None]:
    """Turn the bits of the last byte of each partition around, on the disk of the broker."""
    with _while_nobody_reads(line):
        for folder in sorted(_data(line).glob(f"{line.topics.frames.name}-*")):
            _damage(max(folder.glob("*.log")))
    yield


def _damage(segment: Path) -> None:
    size = segment.stat().st_size
    if size:
        with segment.open("r+b") as file:
            file.seek(size - 1)
            byte = file.read(1)[0]
            file.seek(size - 1)
            file.write(bytes([byte ^ 0xFF]))


@contextmanager
def _forgotten_offsets(line: ObservedLine) -> Iterator[None]:
    """Kill the broker, and let it start with a copy of its offsets from before the last frames.

    The copy is made while nothing comes: one that holds a transaction without its end would hold it for ever.
    """
    kept = line.home / "offsets"
    shutil.rmtree(kept, ignore_errors=True)
    line.stop("producers")
    try:
        line.until(NOTHING_SCORED, DRAINED_WITHIN)
        line.stack.kafka.kill9()
        for folder in _offsets(line):
            shutil.copytree(folder, kept / folder.name)
        line.stack.kafka.start()
    finally:
        line.start("producers")
    line.until_scored()
    line.stack.kafka.kill9()
    for folder in _offsets(line):
        shutil.rmtree(folder)
        shutil.copytree(kept / folder.name, folder)
    line.stack.kafka.start()
    yield


def _data(line: ObservedLine) -> Path:
    return line.stack.logs.parent / "kafka" / "data"


def _offsets(line: ObservedLine) -> list[Path]:
    return sorted(_data(line).glob("__consumer_offsets-*"))


KAFKA_CAUSES = (
    Cause(
        "a stranger's transaction on the frames stays open",
        _open_transaction,
        named("OpenTransaction"),
    ),
    Cause(
        "SIGSTOP of the broker",
        freezing("kafka"),
        named("KafkaAway", "TransactionsBroken", "SpoolGrowing", "SpoolFull", "LineWatchFailing"),
    ),
    Cause(
        "frames are deleted before a scorer has read them",
        _deleted_frames,
        named("PositionLost"),
    ),
    Cause(
        "kill -9 of the broker, which then starts with an older copy of its offsets",
        _forgotten_offsets,
        named("OffsetsWentBack"),
    ),
    # The last: a broker that is killed later cuts the topic off where it is damaged.
    Cause(
        "a byte of frames that no scorer has read is changed on the broker's disk",
        _damaged_frames,
        named("UnreadableMessages"),
    ),
)
