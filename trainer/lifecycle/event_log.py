"""The trainer's side of model-events.v1: the newest event of a product, the next, and what others wrote."""

import hashlib
from collections import deque
from collections.abc import Callable, Collection
from datetime import timedelta

from steadyline.clock import Clock
from steadyline.contracts.headers import SIGNATURE, Headers
from steadyline.contracts.model_event import ModelEvent
from steadyline.errors import BrokerUnavailable, Fatal, PoisonMessage, Transient
from steadyline.kafka.broker import Follower, Message, Publisher, Reader, Record
from steadyline.kafka.model_events import EventSeal, NewestEvents
from steadyline.telemetry.logs import get_logger
from trainer import metrics

log = get_logger(__name__)

# The publisher gives an event up before we stop waiting for it: what was refused here is not written later,
# over what another trainer has announced meanwhile.
PATIENCE = timedelta(seconds=15)
ACKNOWLEDGED_WITHIN = PATIENCE + timedelta(seconds=5)
READ_WITHIN = timedelta(seconds=30)
LOOK = timedelta(milliseconds=100)
NOT_OURS = b"signed by another key"


class EventTooLarge(Transient):
    """The broker takes no event of this size, so the change it tells of has to be refused."""

    reason = "event_too_large"


def newest_events(
    reader: Reader, topic: str, products: Collection[str], seal: EventSeal
) -> dict[str, ModelEvent]:
    """Return product → its newest event, of those of ``products`` that have one.

    One that is not to be believed is logged and passed over. Raises BrokerUnavailable during an outage.
    """
    newest = NewestEvents(seal)
    newest.read((record for record in reader.read(topic) if record.value is not None), _not_believed)
    return {product: event for product, event in newest.by_product.items() if product in products}


class EventLog:
    """Reads and writes one product's events on the compacted topic; it is used from that product's thread.

    After ``newest`` it goes on reading, so that ``is_contradicted`` can tell what others write under the
    product's key: the compaction keeps the last record of a key, whoever wrote it.
    """

    def __init__(
        self,
        publisher: Publisher,
        open_follower: Callable[[], Follower],
        topic: str,
        seal: EventSeal,
        clock: Clock,
    ) -> None:
        self._publisher, self._open, self._topic = publisher, open_follower, topic
        self._seal, self._clock = seal, clock
        self._follower: Follower | None = None
        self._newest = NewestEvents(seal)
        self._truth: bytes | None = None  # names the record that the state comes from
        self._last: bytes | None = None  # names the last record under the key
        self._on_their_way: deque[bytes] = deque()  # names those announced and not read yet

    def newest(self, product: str) -> ModelEvent | None:
        """Return the newest event of ``product``, read from the beginning.

        Raises BrokerUnavailable during an outage, and while a transaction hides the end of the topic.
        """
        self.close()
        self._follower, self._newest = self._open(), NewestEvents(self._seal)
        self._truth = self._last = None
        self._on_their_way.clear()
        end = self._clock.monotonic() + READ_WITHIN.total_seconds()
        while not self._follower.is_at_end():
            if self._clock.monotonic() > end:
                self.close()
                raise BrokerUnavailable(f"{self._topic} has no end to be read: is a transaction open?")
            for record in self._follower.poll(LOOK):
                if record.key == product.encode() and self._note(record):
                    self._truth = self._last if self._seal.is_ours(record) else NOT_OURS
        return self._newest.by_product.get(product)

    def is_contradicted(self, product: str) -> bool:
        """Return True when the last record under the product's key is not the one that ``newest`` or
        ``announce`` took for the truth; announcing again mends it. Raises BrokerUnavailable.
        """
        if self._follower is None:
            return False
        for record in self._follower.poll(timedelta(0)):
            if record.key != product.encode():
                continue
            self._note(record)
            if self._last in self._on_their_way:  # those before it may have been compacted away
                while self._on_their_way.popleft() != self._last:
                    pass
            else:
                metrics.FOREIGN_EVENTS.add(product=product)
                log.error("foreign_model_event", product=product, offset=record.offset)
        return not self._on_their_way and self._last != self._truth

    def greatest_token(self, product: str) -> int:
        """Return the fencing token of the newest event that was read, whoever wrote it."""
        found = self._newest.by_product.get(product)
        return 0 if found is None else found.fencing_token

    def announce(self, event: ModelEvent) -> None:
        """Write the event and wait until the broker has it.

        Raises BrokerUnavailable otherwise: then the broker may have it all the same (an acknowledgement can
        be lost). Raises EventTooLarge when no broker of this line would take it, and Fatal when Kafka refuses
        it; then nothing was written.
        """
        key, value, headers = event.product.encode(), event.encode(), self._seal.headers(event)
        outcome: list[Exception | None] = []
        try:
            self._publisher.publish(Message(self._topic, key, value, headers), outcome.append)
        except PoisonMessage as error:
            outcome.append(error)
        if not self._publisher.flush(ACKNOWLEDGED_WITHIN) or not outcome:
            raise BrokerUnavailable(f"the event of {event.product} was not acknowledged in time")
        if isinstance(outcome[0], PoisonMessage):
            raise EventTooLarge(f"the event of {event.product} is too large: {outcome[0]}")
        if isinstance(outcome[0], Fatal):
            raise outcome[0]
        if outcome[0] is not None:
            raise BrokerUnavailable(f"the event of {event.product} was not written: {outcome[0]}")
        self._truth = _name(value, headers)
        if self._follower is not None:
            self._on_their_way.append(self._truth)

    def close(self) -> None:
        """Close the connection that reads; it never hangs."""
        if self._follower is not None:
            self._follower.close()
        self._follower = None

    def _note(self, record: Record) -> bool:
        """Note a record under the key; return True when it is the newest event now."""
        self._last = _name(record.value, record.headers)
        refused: list[PoisonMessage] = []
        if record.value is not None:
            self._newest.read([record], lambda _, error: refused.append(error))
        for error in refused:
            _not_believed(record, error)
        return record.value is not None and not refused


def _name(value: bytes | None, headers: Headers) -> bytes:
    """Return a digest of what makes a record this event: its value and its signature."""
    signatures = b",".join(content for name, content in headers if name == SIGNATURE)
    return hashlib.sha256(signatures + b"\0" + (value or b"")).digest()


def _not_believed(record: Record, error: PoisonMessage) -> None:
    log.error("model_event_ignored", offset=record.offset, reason=error.reason, error=str(error))
