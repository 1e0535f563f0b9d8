"""The connection to the broker: made when it first answers, checked once, shown by the health page."""

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from steadyline.contracts.topics import Topic, Topics
from steadyline.errors import BrokerUnavailable, ContractBroken, SteadylineError
from steadyline.kafka.broker import Broker, Message, Publisher, Reader

_RETRY_SECONDS = 1.0
_SILENCE_SECONDS = 10.0  # frames in flight without any acknowledgement for so long: the broker is away
_PATIENCE = timedelta(days=7)  # frames in flight wait for the end of an outage instead of failing one by one


class LazyPublisher:
    """A Publisher that connects later: cameras run, drop or spool frames without a broker."""

    def __init__(
        self, broker: Broker, client: str, topics: Topics, bytes_in_flight: int, now: Callable[[], float]
    ) -> None:
        self._broker = broker
        self._client = client
        self._topics = topics
        self._bytes_in_flight = bytes_in_flight
        self._now = now
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._publisher: Publisher | None = None
        self._problem = "not connected yet"
        self._retry_at = now()
        self._in_flight = 0
        self._progress_at = now()

    @property
    def is_connected(self) -> bool:
        """True once the broker has answered and its topics were found correct."""
        return self._publisher is not None

    @property
    def problem(self) -> str:
        """Why no frame is delivered at present; empty when frames are delivered."""
        if self._publisher is None:
            return self._problem
        silence = self._now() - self._progress_at
        waits = self._in_flight and silence > _SILENCE_SECONDS
        return f"no acknowledgement for {silence:.0f} s" if waits else ""

    def publish(self, message: Message, done: Callable[[Exception | None], None]) -> None:
        """Publish like ``Publisher.publish``; raises ContractBroken too, when topics are missing or wrong."""
        publisher = self._connected()
        self._count(1)
        try:
            publisher.publish(message, partial(self._done, done))
        except SteadylineError:
            self._count(-1)
            raise

    def check(self) -> None:
        """Connect if necessary; raises BrokerUnavailable or ContractBroken."""
        self._connected()

    def reader(self) -> Reader:
        """Return a new reader; raises BrokerUnavailable."""
        return self._broker.reader(f"{self._client}-reader")

    def flush(self, within: timedelta) -> bool:
        """Flush like ``Publisher.flush``."""
        return self._publisher.flush(within) if self._publisher is not None else True

    def close(self) -> None:
        """Close the connection; never hangs."""
        if self._publisher is not None:
            self._publisher.close()

    def _done(self, done: Callable[[Exception | None], None], error: Exception | None) -> None:
        self._count(-1)
        if error is None:
            self._progress_at = self._now()
        done(error)

    def _count(self, change: int) -> None:
        with self._counting:
            if not self._in_flight:
                self._progress_at = self._now()
            self._in_flight += change

    def _connected(self) -> Publisher:
        if self._publisher is not None:
            return self._publisher
        with self._lock:
            if self._publisher is None:
                self._connect()
            assert self._publisher is not None
            return self._publisher

    def _connect(self) -> None:
        if self._now() < self._retry_at:
            raise BrokerUnavailable(self._problem)
        try:
            self._check_topics()
            self._publisher = self._broker.publisher(self._client, self._bytes_in_flight, _PATIENCE)
        except BrokerUnavailable as error:
            self._problem = str(error)
            self._retry_at = self._now() + _RETRY_SECONDS
            raise

    def _check_topics(self) -> None:
        wanted = (self._topics.frames, self._topics.camera_status)
        found = self._broker.describe_topics([topic.name for topic in wanted])
        for topic in wanted:
            if topic.name not in found:
                raise ContractBroken(f"topic {topic.name} is missing: run `steadyline topics create`")
            _check_topic(topic, *found[topic.name])


def _check_topic(topic: Topic, partitions: int, config: dict[str, str]) -> None:
    limit = int(config.get("max.message.bytes", topic.max_message_bytes))
    if partitions != topic.partitions or limit < topic.max_message_bytes:
        raise ContractBroken(
            f"topic {topic.name} has {partitions} partitions and messages up to {limit} bytes; the line file "
            f"wants {topic.partitions} and {topic.max_message_bytes}: run `steadyline topics check`"
        )
