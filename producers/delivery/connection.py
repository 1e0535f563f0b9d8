"""The connection to the broker: made when it first answers, checked once, shown by the health page."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from steadyline.clock import Clock
from steadyline.contracts.topics import MAKE_TOPICS, Topic
from steadyline.errors import BrokerUnavailable, ClockRefused, ContractBroken, NotAllowed, SteadylineError
from steadyline.kafka.broker import Broker, Message, Publisher, Reader
from steadyline.kafka.shared_prefix import say_shared_prefix
from steadyline.line import Line
from steadyline.telemetry.logs import get_logger

_RETRY_SECONDS = 1.0
_SILENCE_SECONDS = 10.0  # frames in flight without any acknowledgement for so long: the broker is away
_PATIENCE = timedelta(days=7)  # frames in flight wait for the end of an outage instead of failing one by one

log = get_logger(__name__)


class LazyPublisher:
    """A Publisher that connects later: cameras run, drop or spool frames without a broker.

    Rights, or the login, that Kafka takes from a process which has had them are waited for like an outage, as
    cameras do not stop. The client goes on with gaps in its sequence then, or not at all: a new one is made.
    """

    def __init__(self, broker: Broker, client: str, line: Line, bytes_in_flight: int, clock: Clock) -> None:
        self._broker = broker
        self._client = client
        self._line = line.line
        self._topics = line.kafka_topics()
        self._bytes_in_flight = bytes_in_flight
        self._clock = clock
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._publisher: Publisher | None = None
        self._problem = "not connected yet"
        self._retry_at = clock.monotonic()
        self._in_flight = 0
        self._progress_at = clock.monotonic()
        self._stamp: tuple[float, float] | None = None  # a moment by the topic's time, by our monotonic clock
        self._clock_problem = ""
        self._refused = ""  # what Kafka does not allow any more

    @property
    def is_connected(self) -> bool:
        """True once the broker has answered and its topics were found correct."""
        return self._publisher is not None

    @property
    def is_refused(self) -> bool:
        """True while Kafka refuses what it had allowed; the next message tries again, once a second."""
        return bool(self._refused)

    @property
    def problem(self) -> str:
        """Why no frame is delivered at present; empty when frames are delivered."""
        if self._refused:
            return self._refused
        if self._publisher is None:
            return self._problem
        if self._clock_problem:
            return self._clock_problem
        silence = self._clock.monotonic() - self._progress_at
        waits = self._in_flight and silence > _SILENCE_SECONDS
        return f"no acknowledgement for {silence:.0f} s" if waits else ""

    def publish(self, message: Message, done: Callable[[Exception | None], None]) -> None:
        """Publish like ``Publisher.publish``; raises ContractBroken too, when topics are missing or wrong."""
        publisher = self._counted()
        try:
            publisher.publish(message, partial(self._done, publisher, done))
        except SteadylineError as error:
            self._landed()
            if not isinstance(error, NotAllowed):
                raise
            self._refuse(error)
            raise BrokerUnavailable(str(error)) from error

    def topic_time(self, moment: float) -> datetime:
        """Return the time that a message of ``moment``, in monotonic seconds, has on its topic.

        The topic may go by the broker's clock, and ours may be wrong or set meanwhile. So the time stamp of
        what was acknowledged last is the measure; before there is one, it is our own clock.
        """
        if self._stamp is None:
            return self._clock.now() - timedelta(seconds=self._clock.monotonic() - moment)
        stamped, at = self._stamp
        return datetime.fromtimestamp(stamped, UTC) + timedelta(seconds=moment - at)

    def clock_error(self) -> timedelta:
        """Return what must be added to a time of our clock to have the topic's."""
        return self.topic_time(self._clock.monotonic()) - self._clock.now()

    def check(self) -> None:
        """Connect if necessary; raises BrokerUnavailable or ContractBroken."""
        self._connected()

    def say_shared_prefix(self) -> None:
        """Log it when another line writes to the topics; takes some seconds, in which nobody waits for it."""
        say_shared_prefix(self._broker, self._topics, self._line, self._clock)

    def reader(self) -> Reader:
        """Return a new reader; raises BrokerUnavailable."""
        return self._broker.reader(f"{self._client}-reader")

    def flush(self, within: timedelta) -> bool:
        """Flush like ``Publisher.flush``."""
        publisher = self._publisher  # read once: whoever leaves a refused connection takes it away
        return publisher.flush(within) if publisher is not None else True

    def close(self) -> None:
        """Close the connection; never hangs."""
        publisher = self._publisher
        if publisher is not None:
            publisher.close()

    def _done(
        self, publisher: Publisher, done: Callable[[Exception | None], None], error: Exception | None
    ) -> None:
        if error is None:
            now = self._progress_at = self._clock.monotonic()
            self._stamp, self._clock_problem = (publisher.stamped_ms / 1000, now), ""
        elif isinstance(error, NotAllowed):
            self._refuse(error)
        elif isinstance(error, ClockRefused):
            self._clock_problem = str(error)
        self._landed()
        done(error)

    def _counted(self) -> Publisher:
        """Return the connection, with one message more in flight; raises as ``publish`` does."""
        self._connected()
        with self._counting:
            publisher = self._publisher
            if publisher is None or self._refused:  # refused in this moment
                raise BrokerUnavailable(self._refused)
            if not self._in_flight:
                self._progress_at = self._clock.monotonic()
            self._in_flight += 1
            return publisher

    def _landed(self) -> None:
        with self._counting:
            self._in_flight -= 1

    def _refuse(self, error: NotAllowed) -> None:
        """Take no more messages until Kafka allows them again."""
        with self._counting:
            is_first, self._refused = not self._refused, str(error)
        if is_first:
            log.error("kafka_refused", client=self._client, reason=error.reason, error=str(error))

    def _connected(self) -> None:
        if self._publisher is not None and not self._refused:
            return
        with self._lock:
            if self._refused:
                self._leave()
            if self._publisher is None:
                self._connect()

    def _leave(self) -> None:
        """Close a connection that was refused, once nothing is in flight on it."""
        with self._counting:
            if self._in_flight:
                raise BrokerUnavailable(self._refused)
            left, self._publisher = self._publisher, None
        if left is not None:
            left.close()

    def _connect(self) -> None:
        if self._clock.monotonic() < self._retry_at:
            raise BrokerUnavailable(self._refused or self._problem)
        try:
            self._check_topics()
            publisher = self._broker.publisher(self._client, self._bytes_in_flight, _PATIENCE)
        except (BrokerUnavailable, NotAllowed) as error:
            self._problem = str(error)
            self._retry_at = self._clock.monotonic() + _RETRY_SECONDS
            if isinstance(error, NotAllowed) and self._refused:
                raise BrokerUnavailable(self._problem) from error
            raise
        with self._counting:
            self._publisher, was_refused, self._refused = publisher, self._refused, ""
        if was_refused:
            log.info("kafka_allowed_again", client=self._client)

    def _check_topics(self) -> None:
        wanted = (self._topics.frames, self._topics.camera_status)
        found = self._broker.describe_topics([topic.name for topic in wanted])
        for topic in wanted:
            if topic.name not in found:
                raise ContractBroken(f"topic {topic.name} is missing: {MAKE_TOPICS}")
            _check_topic(topic, *found[topic.name])


def _check_topic(topic: Topic, partitions: int, config: dict[str, str]) -> None:
    limit = int(config.get("max.message.bytes", topic.max_message_bytes))
    if partitions != topic.partitions or limit < topic.max_message_bytes:
        raise ContractBroken(
            f"topic {topic.name} has {partitions} partitions and messages up to {limit} bytes; the line file "
            f"wants {topic.partitions} and {topic.max_message_bytes}: run `steadyline topics check`"
        )
