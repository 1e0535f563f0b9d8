"""Records as messages: decoded, what does not fit handed to one place, outages waited out."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar

from steadyline.clock import Clock
from steadyline.contracts.message import JsonMessage
from steadyline.errors import BrokerUnavailable, PoisonMessage
from steadyline.kafka.broker import Follower, Record

M = TypeVar("M", bound=JsonMessage)
OnPoison = Callable[[Record, PoisonMessage], None]

OUTAGE_PAUSE = timedelta(seconds=1)


def ignore_poison(record: Record, error: PoisonMessage) -> None:
    """Pass a record over in silence, for those who only look on: the audit and the services report it."""


def decoded(records: Iterable[Record], message: type[M], on_poison: OnPoison) -> Iterator[tuple[Record, M]]:
    """Yield each record with its message; one that does not fit goes to ``on_poison`` and is passed over."""
    for record in records:
        try:
            record.check()
            content = message.decode(record.value)
        except PoisonMessage as error:
            on_poison(record, error)
            continue
        yield record, content


@dataclass(frozen=True, slots=True)
class Subscription(Generic[M]):
    """What is done with the records of one topic.

    Each is decoded as ``message`` and handed to ``on_message``. One that does not fit, or that ``on_message``
    refuses by raising PoisonMessage, goes to ``on_poison``, which counts and logs it.
    """

    topic: str
    message: type[M]
    on_message: Callable[[Record, M], None]
    on_poison: OnPoison

    def deliver(self, record: Record) -> None:
        """Hand one record on; raises what ``on_message`` raises beside PoisonMessage."""
        try:
            record.check()
            self.on_message(record, self.message.decode(record.value))
        except PoisonMessage as error:
            self.on_poison(record, error)


def deliver(records: Iterable[Record], subscriptions: Iterable[Subscription[Any]]) -> None:
    """Hand each record to the subscription of its topic, in their order."""
    by_topic: Mapping[str, Subscription[Any]] = {item.topic: item for item in subscriptions}
    for record in records:
        by_topic[record.partition.topic].deliver(record)


class MessageFollower:
    """Follows the topics of ``subscriptions``, turn by turn, from one thread.

    The follower is opened in the first turn, so that an outage at the start is waited out like a later one.
    """

    def __init__(
        self,
        open_follower: Callable[[], Follower],
        subscriptions: Sequence[Subscription[Any]],
        clock: Clock,
        outage_pause: timedelta = OUTAGE_PAUSE,
    ) -> None:
        self._open, self._subscriptions = open_follower, tuple(subscriptions)
        self._clock, self._outage_pause = clock, outage_pause
        self._follower: Follower | None = None
        self._outage: BrokerUnavailable | None = None

    def turn(self, wait: timedelta, stop: threading.Event) -> BrokerUnavailable | None:
        """Hand on what comes within ``wait``; return what keeps the broker away, None when it answered.

        The turn after one that found the broker away begins with a pause, which ``stop`` ends; the position
        is kept meanwhile. Raises ContractBroken while a topic is missing.
        """
        if self._outage is not None:
            self._clock.wait(stop, self._outage_pause)
        self._outage = None
        try:
            if self._follower is None:
                self._follower = self._open()
            records = self._follower.poll(wait)
        except BrokerUnavailable as error:
            self._outage = error
        else:
            deliver(records, self._subscriptions)
        return self._outage

    def is_at_end(self) -> bool:
        """Return True once every message was handed on that existed when the follower was opened."""
        return self._follower is not None and self._follower.is_at_end()

    def close(self) -> None:
        """Never hangs."""
        if self._follower is not None:
            self._follower.close()
        self._follower = None
