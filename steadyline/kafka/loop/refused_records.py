"""What a loop does with the records that it refuses, wherever it commits."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from steadyline.clock import Clock
from steadyline.errors import PoisonMessage
from steadyline.kafka import metrics
from steadyline.kafka.broker import Message, Record
from steadyline.kafka.loop.dead_letter import dead_letter
from steadyline.kafka.loop.dlq_limit import StormGuard, StormLimit
from steadyline.kafka.loop.partition_queue import TakenRecord
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DeadLetterPolicy:
    """The topic that refused records go to, and how many they may be."""

    topic: str
    storm: StormLimit = field(default_factory=StormLimit)


class RefusedRecords:
    """Makes dead letters, and counts and logs each refusal once it is committed."""

    def __init__(self, policy: DeadLetterPolicy, clock: Clock) -> None:
        self._topic = policy.topic
        self._storm = StormGuard(policy.storm, clock)

    @property
    def is_storm(self) -> bool:
        """True while most of the latest records were refused: the service is not ready then."""
        return self._storm.is_storm

    def letter(self, record: Record, refusal: PoisonMessage, is_short: bool = False) -> Message:
        """Return the dead letter of a record; it must be written before the record's offset is committed.

        With ``is_short`` it holds but the beginning of the record: for a letter that its topic has refused.
        """
        return dead_letter(record, refusal, self._topic, is_short)

    def count(self, committed: Iterable[TakenRecord[Any]]) -> None:
        """Count committed records, refused or not.

        To be called after the commit and once for each record: what is tried again is not counted twice.
        """
        for entry in committed:
            refusal = entry.refusal
            if refusal is None:
                self._storm.count(False)
                continue
            metrics.DEAD_LETTERS.add(1, reason=refusal.reason)
            log.warning(
                "dead_letter",
                reason=refusal.reason,
                error=str(refusal),
                partition=entry.record.partition.number,
                offset=entry.record.offset,
            )
            self._storm.count(True, refusal.reason)
