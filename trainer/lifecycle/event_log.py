"""The trainer's side of model-events.v1: the newest event of a product, and the next one."""

from collections.abc import Collection
from datetime import timedelta

from steadyline.contracts.model_event import ModelEvent
from steadyline.errors import BrokerUnavailable, PoisonMessage
from steadyline.kafka.broker import Message, Publisher, Reader, Record
from steadyline.kafka.messages import decoded
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

# The publisher gives an event up before we stop waiting for it: what was refused here is not written later,
# over what another trainer has announced meanwhile.
PATIENCE = timedelta(seconds=15)
ACKNOWLEDGED_WITHIN = PATIENCE + timedelta(seconds=5)


def newest_events(reader: Reader, topic: str, products: Collection[str]) -> dict[str, ModelEvent]:
    """Return product → its newest event, of those of ``products`` that have one.

    One that cannot be read is logged and passed over. Raises BrokerUnavailable during an outage.
    """
    keys = {product.encode() for product in products}
    records = (record for record in reader.read(topic) if record.key in keys and record.value is not None)
    events = decoded(records, ModelEvent, _unreadable)
    return {(record.key or b"").decode(): event for record, event in events}


class EventLog:
    """Reads and writes the compacted topic. One per product's thread."""

    def __init__(self, publisher: Publisher, reader: Reader, topic: str, line: str) -> None:
        self._publisher, self._reader, self._topic, self._line = publisher, reader, topic, line

    def newest(self, product: str) -> ModelEvent | None:
        """Return the newest event of ``product``; raises BrokerUnavailable during an outage."""
        return newest_events(self._reader, self._topic, [product]).get(product)

    def announce(self, event: ModelEvent) -> None:
        """Write the event and wait until the broker has it.

        Raises BrokerUnavailable otherwise: then the broker may have it all the same (an acknowledgement can
        be lost).
        """
        key = event.product.encode()
        headers = event.headers(self._line, event.product, event.at)
        outcome: list[Exception | None] = []
        self._publisher.publish(Message(self._topic, key, event.encode(), headers), outcome.append)
        if not self._publisher.flush(ACKNOWLEDGED_WITHIN) or not outcome:
            raise BrokerUnavailable(f"the event of {event.product} was not acknowledged in time")
        if outcome[0] is not None:
            raise BrokerUnavailable(f"the event of {event.product} was not written: {outcome[0]}")


def _unreadable(record: Record, error: PoisonMessage) -> None:
    log.error("unreadable_model_event", offset=record.offset, error=str(error))
