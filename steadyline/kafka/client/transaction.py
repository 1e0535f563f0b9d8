"""A transactional producer that cannot hang, loses no record silently, and is rebuilt after each failure.

kafka-python 3.0.12 lets a commit succeed although a record in it expired, carries the offsets of an aborted
transaction into the next one, and has calls without a deadline. Therefore every future is checked before the
commit, every call has a deadline, and the producer is made anew after any transaction that did not commit.
"""

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, NoReturn

from kafka import KafkaProducer
from kafka.errors import InvalidProducerEpochError, KafkaError, ProducerFencedError

from steadyline.contracts.topics import MAX_REQUEST_BYTES
from steadyline.errors import BrokerUnavailable, ContractBroken, Fenced
from steadyline.kafka.broker import Message, OutputRefused, TransactionAborted, TransactionBroken
from steadyline.kafka.client.connection import client_options, is_refused, is_too_large, translated
from steadyline.kafka.client.private_api import force_close, last_error, written_headers
from steadyline.kafka.client.private_net import opened
from steadyline.kafka.guards.deadline import CallThread
from steadyline.settings import KafkaSettings

TRANSACTION_TIMEOUT = timedelta(seconds=15)
DEADLINE_SECONDS = 10.0


class TransactionalProducer:
    """Writes messages and input offsets in one transaction; it is used from one thread.

    The broker aborts a transaction that is older than ``timeout``.
    """

    def __init__(
        self, settings: KafkaSettings, transactional_id: str, timeout: timedelta = TRANSACTION_TIMEOUT
    ) -> None:
        self._settings, self._id, self._timeout = settings, transactional_id, timeout
        self._producer: Any = None  # the published types lack methods that are used here

    def open(self) -> None:
        """Take over the transactional id and abort the transaction that its last owner left open.

        Raises BrokerUnavailable.
        """
        if self._producer is not None:
            return
        producer: Any = None
        try:
            producer = opened(
                KafkaProducer,
                **client_options(self._settings, self._id),
                transactional_id=self._id,
                acks="all",
                transaction_timeout_ms=int(self._timeout.total_seconds() * 1000),
                batch_size=1 << 20,
                linger_ms=0,
                max_request_size=MAX_REQUEST_BYTES,
                request_timeout_ms=6_000,
                delivery_timeout_ms=9_000,
                max_block_ms=10_000,
            )
            _within(DEADLINE_SECONDS, producer.init_transactions)
        except (KafkaError, TransactionBroken) as error:
            if producer is not None:
                force_close(producer)
            if isinstance(error, KafkaError):
                raise translated(error, f"opening transactions of {self._id}") from error
            raise BrokerUnavailable(f"opening transactions of {self._id}: no answer") from error
        self._producer = producer

    def commit(self, messages: Sequence[Message], offsets: Any, group: Any) -> None:
        """Write and commit; after any error the producer is closed, and ``open`` makes a new one.

        Raises TransactionAborted, TransactionBroken, BrokerUnavailable (nothing was begun) or Fatal.
        """
        self.open()
        producer = self._producer
        began = time.monotonic()
        is_committing = False
        try:
            producer.begin_transaction()
            self._write(producer, messages)
            _within(DEADLINE_SECONDS, producer.send_offsets_to_transaction, offsets, group)
            is_committing = True
            _within(DEADLINE_SECONDS, producer.commit_transaction)
        except TransactionBroken:
            self.rebuild()
            raise
        except KafkaError as error:
            self._give_up(error, time.monotonic() - began, is_committing)

    def rebuild(self) -> None:
        """Forget the producer; the next use makes a new one with the same transactional id."""
        if self._producer is not None:
            force_close(self._producer)
        self._producer = None

    def close(self) -> None:
        """Close the producer; this never hangs."""
        self.rebuild()

    @staticmethod
    def _write(producer: Any, messages: Sequence[Message]) -> None:
        """Send the messages and wait for every acknowledgement, because a commit would succeed without a
        record that expired.
        """
        try:
            futures = [
                producer.send(
                    message.topic,
                    value=message.value,
                    key=message.key,
                    headers=written_headers(message.headers),
                    partition=message.partition,
                )
                for message in messages
            ]
        except ValueError as error:  # a partition that the topic written lacks
            raise ContractBroken(
                f"{error}: the topics of a line have as many partitions, `steadyline topics create --mend` "
                "gives them to each; then start the process again"
            ) from error
        producer.flush(DEADLINE_SECONDS)
        for future in futures:
            future.get(DEADLINE_SECONDS)

    def _give_up(self, error: KafkaError, age: float, is_committing: bool) -> NoReturn:
        """Abort the failed transaction, close the producer, and raise our error for the client's."""
        causes: list[BaseException | None] = [error, last_error(self._producer)]
        problem: Exception | None = None
        if not is_committing:
            try:
                _within(DEADLINE_SECONDS, self._producer.abort_transaction)
            except (KafkaError, TransactionBroken) as second:
                problem = second
                causes.append(second)
        self.rebuild()
        if any(isinstance(cause, ProducerFencedError | InvalidProducerEpochError) for cause in causes):
            self._fenced(error, age)
        if not is_committing and problem is None and any(is_too_large(cause) for cause in causes if cause):
            raise OutputRefused(repr(error)) from error
        for cause in causes:
            if isinstance(cause, KafkaError) and is_refused(cause):
                raise translated(cause, f"writing with the transactional id {self._id}") from error
        if is_committing or problem is not None:
            raise TransactionBroken(f"{error!r}; abort: {problem!r}") from error
        raise TransactionAborted(repr(error)) from error

    def _fenced(self, error: KafkaError, age: float) -> NoReturn:
        """Raise what "fenced" means: the broker also says it when it has timed our own transaction out, and
        the transaction's ``age`` in seconds tells the two apart.
        """
        if age >= self._timeout.total_seconds():
            raise TransactionBroken(f"own transaction timed out after {age:.1f} s: {error!r}") from error
        raise Fenced(
            f"another live process uses the transactional id {self._id}: give each worker its own instance "
            f"name ({error!r})"
        ) from error


def _within(seconds: float, call: Callable[..., Any], *arguments: Any) -> None:
    """Run a call that has no deadline of its own; raises TransactionBroken when it is not met."""
    calls = CallThread(call.__name__, timedelta(seconds=seconds))
    try:
        calls.call(partial(call, *arguments))
    except ContractBroken:
        raise TransactionBroken(f"no answer to {call.__name__} within {seconds:g} s") from None
    finally:
        calls.close()
