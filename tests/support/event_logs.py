"""A trainer's event log and product state on a broker, and publishers that fail it."""

from collections.abc import Callable
from datetime import timedelta

from typing_extensions import override

from steadyline.bank.memory import MemoryBank
from steadyline.clock import ManualClock
from steadyline.contracts.topics import Topics
from steadyline.errors import BrokerUnavailable, NotAllowed
from steadyline.kafka.broker import Message, Publisher
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.kafka.model_events import EventSeal
from trainer.lifecycle.event_log import EventLog
from trainer.lifecycle.leases import Leases
from trainer.lifecycle.product_state import ProductState

SEAL = EventSeal("line-1")


def an_announcer(
    broker: MemoryBroker, topics: Topics, seal: EventSeal = SEAL, publisher: Publisher | None = None
) -> EventLog:
    """Return the log of a trainer that writes through ``publisher``."""
    name = topics.model_events.name
    return EventLog(
        publisher or broker.publisher("t"), lambda: broker.follower("t", [name]), name, seal, ManualClock()
    )


def a_state(
    broker: MemoryBroker, topics: Topics, bank: MemoryBank, owner: str = "a", seal: EventSeal = SEAL
) -> ProductState:
    """Return the state of the product ``cell`` at a trainer that has tried to take its lease."""
    clock = ManualClock()
    leases = Leases(bank, ["cell"], owner, clock)
    leases.renew()
    return ProductState("cell", an_announcer(broker, topics, seal), leases, clock)


class PassingPublisher:
    """Passes everything on to another publisher."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def publish(self, message: Message, done: Callable[[Exception | None], None]) -> None:
        self._publisher.publish(message, done)

    @property
    def stamped_ms(self) -> int:
        return self._publisher.stamped_ms

    def flush(self, within: timedelta) -> bool:
        return self._publisher.flush(within)

    def close(self) -> None:
        self._publisher.close()


class UnheardPublisher(PassingPublisher):
    """Its acknowledgements are lost: the broker has the message, and nobody here knows."""

    @override
    def publish(self, message: Message, done: Callable[[Exception | None], None]) -> None:
        super().publish(message, lambda error: done(BrokerUnavailable("no answer")))


class RefusedPublisher(PassingPublisher):
    """Its right to write was taken."""

    @override
    def publish(self, message: Message, done: Callable[[Exception | None], None]) -> None:
        done(NotAllowed(f"publishing to {message.topic}"))


class FrozenPublisher(PassingPublisher):
    """Its process is frozen at the moment of writing: ``meanwhile`` is what happens then."""

    def __init__(self, publisher: Publisher, meanwhile: Callable[[], None]) -> None:
        super().__init__(publisher)
        self._meanwhile = meanwhile

    @override
    def publish(self, message: Message, done: Callable[[Exception | None], None]) -> None:
        self._meanwhile()
        super().publish(message, done)
