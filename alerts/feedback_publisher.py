"""Writes labels of frames to their topic, and waits for the broker."""

import threading
from datetime import timedelta

from steadyline.contracts.feedback import Feedback
from steadyline.contracts.topics import Topic
from steadyline.errors import Backpressure, BrokerUnavailable
from steadyline.kafka.broker import Broker, Message, Publisher

PATIENCE = timedelta(seconds=15)  # of somebody who waits for the answer; one request may last 10 s
_SENT_WITHIN = PATIENCE + timedelta(seconds=2)  # the publisher gives up before we do
_BYTES_IN_FLIGHT = 1 << 20


class TopicOfLabels:
    """Publishes labels on behalf of ``line`` until ``close``; safe from any thread.

    The connection is made with the first label, so that an API without a broker still shows incidents.
    """

    def __init__(self, broker: Broker, topic: Topic, line: str, client: str) -> None:
        self._broker, self._topic, self._line, self._client = broker, topic.name, line, client
        self._lock = threading.Lock()
        self._publisher: Publisher | None = None

    def publish(self, feedback: Feedback) -> None:
        """Write a label and wait until the broker has it; raises BrokerUnavailable when it may not."""
        headers = feedback.headers(self._line, feedback.frame, feedback.at)
        message = Message(self._topic, feedback.frame.encode(), feedback.encode(), headers)
        outcome: list[Exception | None] = []
        done = threading.Event()

        def finished(error: Exception | None) -> None:
            outcome.append(error)
            done.set()

        try:
            self._opened().publish(message, finished)
        except Backpressure as error:
            raise BrokerUnavailable(f"too many labels wait for {self._topic}") from error
        if not done.wait(_SENT_WITHIN.total_seconds()) or outcome != [None]:
            raise BrokerUnavailable(f"the label was not written to {self._topic}: {outcome}")

    def close(self) -> None:
        """Never hangs."""
        with self._lock:
            if self._publisher is not None:
                self._publisher.close()

    def _opened(self) -> Publisher:
        with self._lock:
            if self._publisher is None:
                self._publisher = self._broker.publisher(self._client, _BYTES_IN_FLIGHT, PATIENCE)
            return self._publisher
