"""Sends orders to the trainer, and waits for what the intake has seen of its answer."""

import threading
from datetime import timedelta

from alerts.control.order_state import ENDS, OrderView, order_view
from alerts.database.connection import Database
from alerts.database.last_seen import LastSeenStore
from alerts.database.order_store import ModelOrder
from steadyline.clock import Clock
from steadyline.contracts.model_command import ModelCommand
from steadyline.contracts.topics import Topic
from steadyline.kafka.broker import Broker
from steadyline.kafka.commands import CommandPublisher

_LOOK_EVERY = timedelta(milliseconds=250)
_MOST_WAITING = 8  # of the threads that answer requests; whoever comes later looks again by himself


class TopicOfOrders:
    """Writes orders on behalf of ``line`` until ``close``; safe from any thread.

    The connection is made with the first order, so that an API without a broker still shows the models.
    """

    def __init__(self, broker: Broker, topic: Topic, line: str, client: str) -> None:
        self._broker, self._topic, self._line, self._client = broker, topic, line, client
        self._lock = threading.Lock()
        self._publisher: CommandPublisher | None = None

    def send(self, command: ModelCommand) -> int:
        """Write an order and return an offset that is at most its own; raises BrokerUnavailable.

        One order is sent at a time, for it is said of all that are queued together whether they went through.
        """
        with self._lock:
            if self._publisher is None:
                self._publisher = CommandPublisher(self._broker, self._topic, self._line, self._client)
            return self._publisher.send(command)

    def close(self) -> None:
        """Never hangs."""
        with self._lock:
            if self._publisher is not None:
                self._publisher.close()


class AnswerWatch:
    """Waits until the intake has taken an event that tells of an order; safe from any thread."""

    def __init__(self, database: Database, clock: Clock, stop: threading.Event) -> None:
        self._database, self._clock, self._stop = database, clock, stop
        self._seen = LastSeenStore()
        self._places = threading.BoundedSemaphore(_MOST_WAITING)

    def await_answer(self, order: ModelOrder, within: timedelta) -> OrderView:
        """Return the order as it stands once it is answered, or when ``within`` is over.

        It is over at once while many wait already, and when the service ends. Raises StoreUnavailable.
        """
        if not self._places.acquire(blocking=False):
            return self._look(order)
        try:
            end = self._clock.monotonic() + within.total_seconds()
            while True:
                view = self._look(order)
                left = end - self._clock.monotonic()
                if view.state in ENDS or left <= 0:
                    return view
                if self._clock.wait(self._stop, min(_LOOK_EVERY, timedelta(seconds=left))):
                    return view
        finally:
            self._places.release()

    def _look(self, order: ModelOrder) -> OrderView:
        with self._database.transaction() as session:
            product = order.command.product
            is_read = self._seen.commands_until(session, product) > (order.place or 0)
            return order_view(order, self._seen.models_of(session, product) if is_read else None)
