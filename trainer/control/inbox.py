"""What the stream tells the trainer: commands for its desks, scores for the reservoirs. One thread reads."""

import threading
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta

from steadyline.contracts.model_command import ModelCommand
from steadyline.contracts.score import Score
from steadyline.contracts.topics import Topics
from steadyline.errors import MalformedMessage, PoisonMessage
from steadyline.kafka.broker import Reader
from steadyline.line import RetrainSection
from steadyline.telemetry.logs import get_logger
from trainer import metrics
from trainer.data.reservoir import Normal, Reservoir

log = get_logger(__name__)


class ProductInbox:
    """One product's commands in order and its reservoir, handed from the reading thread to the desk's."""

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
        """Return the oldest command that was not answered; it stays until ``done_with``."""
        with self._lock:
            return self._commands[0] if self._commands else None

    def done_with(self, offset: int) -> None:
        """Let go of the commands up to ``offset``."""
        with self._lock:
            while self._commands and self._commands[0][0] <= offset:
                self._commands.popleft()

    def put_score(self, score: Score) -> None:
        """Show a score to the reservoir."""
        with self._lock:
            self._reservoir.offer(score)

    def admit(self, now: datetime) -> None:
        """Let frames out of quarantine; counts what was kept and what not."""
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


class TopicFollower:
    """Follows both topics from the beginning: sampling by hash gives the same reservoir every time."""

    def __init__(self, reader: Reader, topics: Topics, inboxes: Mapping[str, ProductInbox]) -> None:
        self._reader, self._topics, self._inboxes = reader, topics, inboxes

    def turn(self, wait: timedelta) -> int:
        """Hand on what came; returns how many records. Raises BrokerUnavailable during an outage."""
        count = 0
        for record in self._reader.follow(self._topics.model_commands.name, timedelta(0)):
            count += 1
            self._command(record.offset, record.value)
        for record in self._reader.follow(self._topics.scores.name, wait):
            count += 1
            self._score(record.value)
        return count

    def _command(self, offset: int, value: bytes | None) -> None:
        try:
            command = ModelCommand.decode(value)
        except MalformedMessage as error:
            log.error("unreadable_command", offset=offset, error=str(error))
            return
        inbox = self._inboxes.get(command.product)
        if inbox is None:
            log.error("command_for_unknown_product", offset=offset, product=command.product)
            return
        inbox.put_command(offset, command)

    def _score(self, value: bytes | None) -> None:
        try:
            score = Score.decode(value)
            inbox = self._inboxes.get(score.product)
            if inbox is not None:
                inbox.put_score(score)
        except PoisonMessage as error:
            log.error("unreadable_score", error=str(error))
