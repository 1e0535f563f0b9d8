"""Which model events are believed: judged in the order of the topic, as every reader does."""

from collections.abc import Callable
from contextlib import closing

from steadyline.contracts.model_event import ModelEvent
from steadyline.errors import Backpressure, BrokerUnavailable
from steadyline.kafka.broker import Partition, Reader, Record
from steadyline.kafka.messages import ignore_poison
from steadyline.kafka.model_events import EventSeal, NewestEvents


class ModelHistory:
    """The newest event of each product up to the record judged last; used from one thread.

    Whether an event is outdated depends on those before it. So when the topic comes to this process, or is
    read again, what lies before the first record is read first.
    """

    def __init__(self, open_reader: Callable[[], Reader], seal: EventSeal) -> None:
        self._open_reader, self._seal = open_reader, seal
        self._newest: dict[Partition, NewestEvents] = {}

    def believe(self, record: Record) -> ModelEvent:
        """Return the event of a record; raises PoisonMessage, or Backpressure while Kafka is away."""
        if record.partition not in self._newest:
            self._newest[record.partition] = self._before(record)
        event = ModelEvent.decode(record.value)
        self._newest[record.partition].admit(record, event)
        return event

    def forget(self, partition: Partition) -> None:
        """Forget a partition that went elsewhere, or is read again."""
        self._newest.pop(partition, None)

    def _before(self, first: Record) -> NewestEvents:
        newest = NewestEvents(self._seal)
        try:
            with closing(self._open_reader()) as reader:
                found = reader.read(first.partition.topic)
                before = [
                    record
                    for record in found
                    if record.partition == first.partition and record.offset < first.offset
                ]
        except BrokerUnavailable as error:
            raise Backpressure(f"the model events before {first.offset} cannot be read: {error}") from error
        newest.read(before, ignore_poison)
        return newest
