"""Takes what the topics bring to the trainer: commands for its controllers, scores for the reservoirs."""

import threading
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta

from steadyline.clock import Clock
from steadyline.contracts.model_command import ModelCommand
from steadyline.contracts.score import Score
from steadyline.contracts.topics import Topics
from steadyline.errors import BrokerUnavailable, PoisonMessage
from steadyline.kafka.broker import Broker, Follower, Partition, Record
from steadyline.kafka.messages import MessageFollower, Subscription
from steadyline.line import RetrainSection
from steadyline.telemetry.logs import get_logger
from trainer import metrics
from trainer.data.reservoir import Normal, Reservoir
from trainer.lifecycle.event_log import newest_events

log = get_logger(__name__)

CLIENT = "trainer-intake"
OUTAGE_PAUSE = timedelta(milliseconds=250)


class ProductInbox:
    """One product's commands and reservoir: the reading thread fills them, the controller's uses them."""

    def __init__(self, product: str, rules: RetrainSection) -> None:
        self._product, self._lock = product, threading.Lock()
        self._commands: deque[tuple[int, ModelCommand]] = deque()
        self._reservoir = Reservoir(rules.reservoir, rules.quarantine)
        self._counted: dict[str, int] = {}

    def put_command(self, offset: int, command: ModelCommand) -> None:
        """Take a command from the topic."""
        with self._lock:
            self._commands.append((offset, command))

    def next_command(self) -> tuple[int, ModelCommand] | None:
        """Return the oldest unanswered command with its offset; it stays here until ``done_with``."""
        with self._lock:
            return self._commands[0] if self._commands else None

    def done_with(self, offset: int) -> None:
        """Forget the commands up to ``offset``."""
        with self._lock:
            while self._commands and self._commands[0][0] <= offset:
                self._commands.popleft()

    def put_score(self, score: Score) -> None:
        """Show a score to the reservoir."""
        with self._lock:
            self._reservoir.offer(score)

    def admit(self, now: datetime) -> None:
        """Let frames out of quarantine, and count which were kept and which were not."""
        with self._lock:
            self._reservoir.admit(now)
            waiting, admitted = self._reservoir.waiting, len(self._reservoir.normals())
            dropped = dict(self._reservoir.dropped)
        metrics.RESERVOIR.set(waiting, product=self._product, state="quarantined")
        metrics.RESERVOIR.set(admitted, product=self._product, state="admitted")
        for reason, count in dropped.items():
            metrics.RESERVOIR_DROPPED.add(
                count - self._counted.get(reason, 0), product=self._product, reason=reason
            )
        self._counted = dropped

    def normals(self) -> list[Normal]:
        """Return the admitted frames."""
        with self._lock:
            return self._reservoir.normals()

    def newer_than(self, moment: datetime) -> int:
        """Return how many frames left quarantine after ``moment``."""
        with self._lock:
            return self._reservoir.newer_than(moment)


class InboxDispatcher:
    """Hands commands and scores to the inboxes of their products; it is used from one thread.

    Commands are read from the first that may be unanswered. Scores are read from the beginning: sampling by
    hash gives the same reservoir every time.
    """

    def __init__(
        self, broker: Broker, topics: Topics, inboxes: Mapping[str, ProductInbox], clock: Clock
    ) -> None:
        self._broker, self._topics, self._inboxes = broker, topics, inboxes
        subscriptions = (
            Subscription(topics.model_commands.name, ModelCommand, self._command, _unreadable_command),
            Subscription(topics.scores.name, Score, self._score, _unreadable_score),
        )
        self._messages = MessageFollower(self._follower, subscriptions, clock, OUTAGE_PAUSE)

    def turn(self, wait: timedelta, stop: threading.Event) -> BrokerUnavailable | None:
        """Hand on what comes within ``wait``; return the broker's error, or None when the broker answered."""
        return self._messages.turn(wait, stop)

    def close(self) -> None:
        """Close the connections; it never hangs."""
        self._messages.close()

    def _follower(self) -> Follower:
        commands, scores = self._topics.model_commands.name, self._topics.scores.name
        start = {Partition(commands, 0): self._answered_until()}
        return self._broker.follower(CLIENT, [commands, scores], start)

    def _answered_until(self) -> int:
        """Return the offset before which the commands of all products are answered."""
        reader = self._broker.reader(CLIENT)
        try:
            events = newest_events(reader, self._topics.model_events.name, self._inboxes)
        finally:
            reader.close()
        until = {product: event.commands_until for product, event in events.items()}
        return min((until.get(product, 0) for product in self._inboxes), default=0)

    def _command(self, record: Record, command: ModelCommand) -> None:
        inbox = self._inboxes.get(command.product)
        if inbox is None:
            log.error("command_for_unknown_product", offset=record.offset, product=command.product)
            return
        inbox.put_command(record.offset, command)

    def _score(self, record: Record, score: Score) -> None:
        inbox = self._inboxes.get(score.product)
        if inbox is not None:
            inbox.put_score(score)


def _unreadable_command(record: Record, error: PoisonMessage) -> None:
    log.error("unreadable_command", offset=record.offset, error=str(error))


def _unreadable_score(record: Record, error: PoisonMessage) -> None:
    log.error("unreadable_score", error=str(error))
