"""The loop: records are decoded, taken into the database in order, and then committed to the group."""

import threading
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain, islice
from typing import Any

from alerts import metrics
from alerts.database.ingest import Ingest, Taken
from alerts.incidents.observation import Observation
from alerts.intake.group_offsets import GroupOffsets
from alerts.intake.progress import IntakeProgress
from alerts.intake.rewind import Rewind
from steadyline.backoff import Backoff, RetryTimer
from steadyline.clock import Clock
from steadyline.errors import BrokerUnavailable, StoreUnavailable, Transient
from steadyline.kafka import metrics as loop_metrics
from steadyline.kafka.broker import Partition, TransactionBroken, Worker
from steadyline.kafka.loop.in_hand import InHand, QueueLimits, RecordHandler, next_offsets
from steadyline.kafka.loop.outage import OutageHold
from steadyline.kafka.loop.refused_records import DeadLetterPolicy, RefusedRecords
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

BROKER_PAUSE = timedelta(milliseconds=200)


@dataclass(frozen=True, slots=True)
class IntakePolicy:
    """How much is in hand, and how often it is written.

    Transactions of the database are ``store_every`` apart, so that a burst of scores shares one; those of the
    group ``commit_every``. A poll with nothing in hand may last ``idle``: what arrives ends it.
    """

    dead_letters: DeadLetterPolicy
    poll: timedelta = timedelta(milliseconds=5)
    idle: timedelta = timedelta(milliseconds=50)
    store_every: timedelta = timedelta(milliseconds=25)
    commit_every: timedelta = timedelta(seconds=1)
    queues: QueueLimits = field(default_factory=lambda: QueueLimits(high=512, low=256))
    transaction_records: int = 500
    retry: tuple[float, float] = (0.1, 5.0)
    drain: timedelta = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class IntakeParts:
    """What the loop works with."""

    worker: Worker
    handler: RecordHandler[Observation | None]
    ingest: Ingest[Any]
    rewind: Rewind
    progress: IntakeProgress


class IntakeLoop:
    """Runs one worker until told to stop; used from one thread.

    ``on_turn`` is called at the beginning of every turn; what it raises ends the loop.
    """

    def __init__(
        self,
        parts: IntakeParts,
        policy: IntakePolicy,
        clock: Clock,
        on_turn: Callable[[], None] = lambda: None,
    ) -> None:
        self._worker, self._ingest, self._progress = parts.worker, parts.ingest, parts.progress
        self._rewind, self._policy, self._clock, self._on_turn = parts.rewind, policy, clock, on_turn
        self._refused = RefusedRecords(policy.dead_letters, clock)
        self._group = GroupOffsets(
            parts.worker, self._refused, policy.commit_every, clock, parts.rewind.stands_at
        )
        self._in_hand = InHand(parts.worker, parts.handler, policy.queues, self._group)
        self._broker_hold = OutageHold(RetryTimer(Backoff.constant(BROKER_PAUSE), clock), clock)
        self._database_hold = OutageHold(RetryTimer(Backoff.of_seconds(*policy.retry), clock), clock)
        self._last_store = clock.monotonic()

    @property
    def broker_outage(self) -> Transient | None:
        """What keeps the broker away, or a partition of ours from being read; None while nothing does."""
        return self._broker_hold.error or self._worker.trouble

    @property
    def database_outage(self) -> Transient | None:
        """What keeps the database away; None while nothing does."""
        return self._database_hold.error

    @property
    def is_storm(self) -> bool:
        """True while most of the latest records were refused."""
        return self._refused.is_storm

    def run(self, stop: threading.Event) -> None:
        """Turn until ``stop``; then write what is in hand, commit it and return. Fatal errors come out."""
        while not stop.is_set():
            self.turn(stop)
        self._finish()
        self._group.withdraw()

    def turn(self, stop: threading.Event) -> None:
        """Poll, hand out, write and commit when it is time."""
        self._on_turn()
        try:
            self._poll(self._policy.poll if len(self._in_hand) else self._policy.idle)
        except BrokerUnavailable as error:
            self._progress.interrupted()
            self._broker_hold.wait(error, stop)
            return
        self._in_hand.hand_out()
        if self._clock.monotonic() - self._last_store >= self._policy.store_every.total_seconds():
            self._last_store = self._clock.monotonic()
            self._store()
        if self._group.is_due:
            self._commit()
        loop_metrics.IN_HAND.set(len(self._in_hand))

    def _poll(self, wait: timedelta) -> None:
        polled = self._worker.poll(wait)
        self._broker_hold.retry.succeeded()
        self._forget(self._worker.take_lost())
        for partition, records in polled.items():
            self._in_hand.add(partition, records)
            self._progress.read(partition, len(records))

    def _forget(self, lost: Collection[Partition]) -> None:
        self._in_hand.drop(lost)
        self._group.drop(lost)
        self._rewind.forget(lost)
        self._progress.turned(self._worker.assigned, lost)

    def _store(self) -> None:
        """Take the finished prefixes in one transaction; what does not go through is tried again."""
        if self._group.is_full or not self._database_hold.retry.is_due:
            return
        entries = list(
            islice(chain.from_iterable(self._in_hand.finished()), self._policy.transaction_records)
        )
        if not entries:
            return
        began = self._clock.monotonic()
        try:
            if self._rewind.is_needed(entries):
                self._read_again()
                return
            self._ingest.write(entries)
        except StoreUnavailable as error:
            self._progress.interrupted()
            self._database_hold.hold(error)
            self._group.excuse()
            return
        except BrokerUnavailable as error:
            self._broker_hold.hold(error)
            return
        self._database_hold.retry.succeeded()
        metrics.STORE_SECONDS.record(self._clock.monotonic() - began)
        self._stored(entries)

    def _stored(self, entries: Sequence[Taken]) -> None:
        self._in_hand.release(entries)
        self._group.owe(entries)
        counts = Counter(entry.record.partition for entry in entries)
        self._progress.taken(counts, next_offsets(entries))

    def _commit(self) -> None:
        try:
            self._group.commit()
        except TransactionBroken as error:
            loop_metrics.TRANSACTIONS.add(1, outcome="broken")
            log.warning("transaction_broken", error=str(error))
            self._read_again()
        except BrokerUnavailable as error:
            self._broker_hold.hold(error)

    def _read_again(self) -> None:
        """Forget everything and go on from what the group has committed; what is known is passed over."""
        self._in_hand.drop_all()
        self._group.drop(self._worker.assigned)
        self._progress.forgotten()
        self._worker.resync()

    def _finish(self) -> None:
        """Write and commit what is in hand within the drain time; the next worker reads the rest again."""
        end = self._clock.monotonic() + self._policy.drain.total_seconds()
        self._in_hand.take_no_more()
        while self._in_hand.taken or not self._group.is_empty:
            if self._clock.monotonic() > end:
                log.warning("drain_incomplete", left=self._in_hand.taken)
                return
            self._on_turn()
            self._stay_in_group()
            self._store()
            if not self._group.is_empty:
                self._commit()
            self._clock.wait(threading.Event(), timedelta(milliseconds=5))

    def _stay_in_group(self) -> None:
        """Poll: without it a rebalance that is under way never ends, and nothing can be committed meanwhile.

        What is delivered is not taken: the next worker reads it from the committed offset.
        """
        try:
            self._worker.poll(timedelta(0))
        except BrokerUnavailable as error:
            self._broker_hold.hold(error)
            return
        self._forget(self._worker.take_lost())
