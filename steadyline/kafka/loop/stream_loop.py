"""The exactly-once loop: take, hand out, commit the finished prefix of each partition with its offsets."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice

from steadyline.backoff import Backoff, RetryTimer
from steadyline.clock import Clock
from steadyline.errors import BrokerUnavailable, Transient
from steadyline.kafka import metrics
from steadyline.kafka.broker import Message, OutputRefused, TransactionAborted, TransactionBroken, Worker
from steadyline.kafka.loop.crash_guard import CrashGuard
from steadyline.kafka.loop.in_hand import InHand, QueueLimits, RecordHandler, next_offsets
from steadyline.kafka.loop.outage import OutageHold
from steadyline.kafka.loop.output_limit import OutputLimit
from steadyline.kafka.loop.partition_queue import TakenRecord
from steadyline.kafka.loop.refused_records import DeadLetterPolicy, RefusedRecords
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

Outputs = Sequence[Message]


@dataclass(frozen=True, slots=True)
class LoopPolicy:
    """How much is in hand, and how often it is committed.

    Commits are ``commit_every`` apart: 25 ms keeps a lone frame quick. While records wait for the
    handler, commits and polls are ``behind_factor`` times as far apart: those records are late anyway, and a
    transaction costs about 8 ms of CPU, the broker's included, whether it holds 8 records or 40; a poll half
    a millisecond. A poll with nothing in hand may last ``idle_factor`` times as long: what arrives ends it.
    """

    dead_letters: DeadLetterPolicy
    poll: timedelta = timedelta(milliseconds=5)
    commit_every: timedelta = timedelta(milliseconds=25)
    behind_factor: int = 4
    idle_factor: int = 10
    queues: QueueLimits = field(default_factory=QueueLimits)
    transaction_messages: int = 256
    transaction_bytes: int = 16 << 20
    outage_pause: timedelta = timedelta(milliseconds=200)
    drain: timedelta = timedelta(seconds=20)


class StreamLoop:
    """Runs one worker with one handler until told to stop; used from one thread.

    ``on_turn`` is called at the beginning of every turn, on the loop's thread; what it raises ends the loop.
    """

    def __init__(
        self,
        worker: Worker,
        handler: RecordHandler[Outputs],
        policy: LoopPolicy,
        clock: Clock,
        on_turn: Callable[[], None] = lambda: None,
    ) -> None:
        self._worker, self._policy, self._clock, self._on_turn = worker, policy, clock, on_turn
        self._crash_guard = CrashGuard(worker)
        self._in_hand = InHand(worker, handler, policy.queues, self._crash_guard)
        self._refused = RefusedRecords(policy.dead_letters, clock)
        self._broker_hold = OutageHold(RetryTimer(Backoff.constant(policy.outage_pause), clock), clock)
        self._output_limit = OutputLimit()
        self._last_commit = clock.monotonic()

    @property
    def outage(self) -> Transient | None:
        """What keeps the broker away, or a partition of ours from being read; None while nothing does."""
        return self._broker_hold.error or self._worker.trouble

    @property
    def is_storm(self) -> bool:
        """True while most of the latest records were refused."""
        return self._refused.is_storm

    def excuse(self) -> None:
        """Note that records in hand wait for something outside, so that they are not blamed for an end."""
        self._crash_guard.excuse()

    def run(self, stop: threading.Event) -> None:
        """Turn until ``stop``; then finish what is in hand, commit it and return. Fatal errors come out."""
        while not stop.is_set():
            self.turn(stop)
        self._finish()
        self._crash_guard.withdraw()

    def turn(self, stop: threading.Event) -> None:
        """Poll, hand out, commit when it is time."""
        self._on_turn()
        try:
            polled = self._worker.poll(self._poll_wait())
        except BrokerUnavailable as error:
            self._broker_hold.wait(error, stop)
            return
        self._broker_hold.retry.succeeded()
        self._in_hand.drop(self._worker.take_lost())
        for partition, records in polled.items():
            self._in_hand.add(partition, records)
        self._in_hand.hand_out()
        apart = self._paced(self._policy.commit_every).total_seconds()
        if self._clock.monotonic() - self._last_commit >= apart:
            self._last_commit = self._clock.monotonic()
            self._commit()
        metrics.IN_HAND.set(len(self._in_hand))

    def _poll_wait(self) -> timedelta:
        has_work = len(self._in_hand) > 0
        return self._paced(self._policy.poll) if has_work else self._policy.poll * self._policy.idle_factor

    def _paced(self, apart: timedelta) -> timedelta:
        """Return ``apart``, or more while records wait for the handler."""
        return apart * self._policy.behind_factor if self._in_hand.is_behind else apart

    def _commit(self) -> None:
        """Commit the finished prefixes in one transaction; what does not go through is tried again."""
        entries, messages = self._collect()
        if not entries:
            return
        offsets = next_offsets(entries)
        began = self._clock.monotonic()
        try:
            done = self._worker.commit(messages, offsets, self._crash_guard.notes(offsets))
        except OutputRefused as error:
            metrics.TRANSACTIONS.add(1, outcome="aborted")
            log.warning("output_refused", error=str(error), records=len(entries))
            poison = self._output_limit.poison(entries, error)
            if poison is not None:
                self._in_hand.refuse(entries[0], poison)
            return
        except TransactionAborted as error:
            metrics.TRANSACTIONS.add(1, outcome="aborted")
            log.warning("transaction_aborted", error=str(error))
            return
        except TransactionBroken as error:
            metrics.TRANSACTIONS.add(1, outcome="broken")
            log.warning("transaction_broken", error=str(error))
            self._start_over()
            return
        except BrokerUnavailable as error:
            self._broker_hold.hold(error)
            return
        if not done:
            metrics.TRANSACTIONS.add(1, outcome="deferred")
            return
        metrics.TRANSACTIONS.add(1, outcome="committed")
        metrics.COMMIT_SECONDS.record(self._clock.monotonic() - began)
        self._crash_guard.committed(offsets)
        self._output_limit.committed(entries)
        self._in_hand.release(entries)
        self._refused.count(entries)

    def _collect(self) -> tuple[list[TakenRecord[Outputs]], list[Message]]:
        """Return what one transaction covers, in order per partition, and the messages that it writes."""
        entries: list[TakenRecord[Outputs]] = []
        messages: list[Message] = []
        size = 0
        for finished in self._in_hand.finished():
            for entry in islice(finished, self._room(entries, messages)):
                outputs = self._outputs(entry)
                added = sum(message.size for message in outputs)
                if messages and size + added > self._policy.transaction_bytes:
                    break
                size += added
                messages.extend(outputs)
                entries.append(entry)
        return entries, messages

    def _room(self, entries: list[TakenRecord[Outputs]], messages: list[Message]) -> int:
        """Return how many more records the transaction may cover."""
        if self._output_limit.is_searching:
            return 0 if entries else 1
        return max(0, self._policy.transaction_messages - len(messages))

    def _outputs(self, entry: TakenRecord[Outputs]) -> Outputs:
        """Return the messages of a finished entry; a refused one becomes its dead letter."""
        refusal = entry.refusal
        if refusal is None:
            return entry.result.result()
        return [self._refused.letter(entry.record, refusal, self._output_limit.is_short(entry))]

    def _start_over(self) -> None:
        """Forget everything in hand and go on from what the broker has committed."""
        self._in_hand.drop_all()
        self._worker.resync()

    def _finish(self) -> None:
        """Commit what finishes within the drain time; the next worker reads the rest again."""
        end = self._clock.monotonic() + self._policy.drain.total_seconds()
        self._in_hand.take_no_more()
        while self._in_hand.taken:
            if self._clock.monotonic() > end:
                log.warning("drain_incomplete", left=self._in_hand.taken)
                return
            self._on_turn()
            self._stay_in_group()
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
        self._in_hand.drop(self._worker.take_lost())
