"""Publish camera statuses, one in flight per epoch, so that they do not pile up during an outage."""

import threading
from collections.abc import Callable
from functools import partial

from producers.delivery.connection import LazyPublisher
from steadyline.contracts.camera_status import CameraStatus
from steadyline.errors import Backpressure, BrokerUnavailable
from steadyline.kafka.broker import Message
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)


class StatusPublisher:
    """Publishes the statuses of all cameras and never waits."""

    def __init__(self, topic: str, line: str, publisher: LazyPublisher) -> None:
        self._topic = topic
        self._line = line
        self._publisher = publisher
        self._lock = threading.Lock()
        self._in_flight: set[str] = set()

    def announce(self, status: CameraStatus, acknowledged: Callable[[], None]) -> bool:
        """Publish ``status``; another thread calls ``acknowledged`` once the broker has it.

        Returns False when it cannot be sent now; the next status, with newer counts, replaces it.
        """
        key = f"{status.camera}/{status.epoch}"
        with self._lock:
            if key in self._in_flight or not (self._publisher.is_connected or self._publisher.is_refused):
                return False
            self._in_flight.add(key)
        message = Message(
            self._topic, key.encode(), status.encode(), status.headers(self._line, key, status.at)
        )
        try:
            self._publisher.publish(message, partial(self._done, key, acknowledged))
        except (Backpressure, BrokerUnavailable) as error:
            log.debug("status_not_sent", key=key, reason=error.reason)
            self._forget(key)
            return False
        return True

    def _done(self, key: str, acknowledged: Callable[[], None], error: Exception | None) -> None:
        self._forget(key)
        if error is None:
            acknowledged()
        else:
            log.warning("status_not_sent", key=key, error=str(error))

    def _forget(self, key: str) -> None:
        with self._lock:
            self._in_flight.discard(key)
