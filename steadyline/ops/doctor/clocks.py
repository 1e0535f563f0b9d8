"""Compare clocks with ours: Redis tells its time, and a broker stamps what it appends."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from typing_extensions import override

from steadyline.clock import Clock
from steadyline.contracts.topics import BROKERS_DEFAULTS, HOUR_MS, Replication, Topic, doctor_topic
from steadyline.errors import BrokerUnavailable
from steadyline.kafka.broker import Broker, Message
from steadyline.ops.doctor.finding import Report

# Frames carry their capture time, and leases expire by Redis' clock: an error of a second affects both.
MOST_SECONDS = 1.0
WITHIN = timedelta(seconds=20)
REMEDY = "synchronise the clocks (chrony or systemd-timesyncd) on this machine and on the servers"


@dataclass(frozen=True, slots=True)
class ClockTopic(Topic):
    """A topic on which the broker's own time replaces the writer's, kept for an hour."""

    @property
    @override
    def config(self) -> dict[str, str]:
        return {
            "cleanup.policy": self.clean_up,
            "retention.ms": str(self.retention_ms),
            "message.timestamp.type": "LogAppendTime",
            **self.replication.config,
        }


def clock_topic(prefix: str, replication: Replication = BROKERS_DEFAULTS) -> ClockTopic:
    """Return the doctor's own topic; it is made when first needed and carries nothing else."""
    return ClockTopic(
        name=doctor_topic(prefix),
        message="none",
        key="none",
        writers=("steadyline",),
        readers=("steadyline",),
        clean_up="delete",
        retention_ms=HOUR_MS,
        partitions=1,
        replication=replication,
    )


@dataclass(frozen=True, slots=True)
class ClockReading:
    """What another clock said between two readings of ours, all in seconds since 1970."""

    before: float
    theirs: float
    after: float

    @property
    def skew(self) -> float:
        """The least error of the other clock in seconds; 0 when it may be right."""
        if self.theirs < self.before:
            return self.theirs - self.before
        return max(0.0, self.theirs - self.after)


def judge_clock(name: str, reading: ClockReading, report: Report) -> None:
    """Compare a clock with ours."""
    off = reading.skew
    report.judge(f"clock of {name}", abs(off) <= MOST_SECONDS, f"{off:+.3f} s from ours", REMEDY)


def read_clock(theirs: Callable[[], float], clock: Clock) -> ClockReading:
    """Read another clock; our own errors pass through."""
    before = clock.now().timestamp()
    reading = theirs()
    return ClockReading(before, reading, clock.now().timestamp())


def read_broker_clock(broker: Broker, topic: ClockTopic, clock: Clock) -> ClockReading:
    """Write one message and read when the broker stamped it, which also proves a write and a read.

    Raises BrokerUnavailable.
    """
    mark = uuid.uuid4().bytes
    broker.create_topics([topic])
    end = broker.end_offsets([topic.name])  # anybody may have written there before
    publisher = broker.publisher("steadyline-doctor")
    reader = broker.reader("steadyline-doctor")
    outcome: list[Exception | None] = []
    try:
        before = clock.now().timestamp()
        publisher.publish(Message(topic.name, None, mark), outcome.append)
        if not publisher.flush(WITHIN) or outcome != [None]:
            raise BrokerUnavailable(f"a message to {topic.name} was not acknowledged: {outcome}")
        after = clock.now().timestamp()
        for record in reader.read(topic.name, start=end):
            if record.value == mark:
                # The time stamp is cut off to whole milliseconds.
                return ClockReading(before - 0.001, record.timestamp_ms / 1000, after)
    finally:
        publisher.close()
        reader.close()
    raise BrokerUnavailable(f"a message that {topic.name} acknowledged was not read back")
