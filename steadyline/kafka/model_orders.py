"""Reads the newest event of each product's models, and waits for the trainer's answer to an order."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from steadyline.clock import Clock
from steadyline.contracts.model_command import ModelCommand
from steadyline.contracts.model_event import Change, ModelEvent
from steadyline.contracts.station import STATION
from steadyline.contracts.topics import Topic
from steadyline.kafka.broker import Broker
from steadyline.kafka.messages import OnPoison, ignore_poison
from steadyline.kafka.model_events import EventSeal, NewestEvents

CLIENT = "steadyline-models"
POLL = timedelta(milliseconds=200)


@dataclass(frozen=True, slots=True)
class EventSource:
    """Where the model events of a line are read, and which of them are believed."""

    broker: Broker
    topic: Topic
    seal: EventSeal


def newest_events(source: EventSource, on_poison: OnPoison = ignore_poison) -> dict[str, ModelEvent]:
    """Return product → its newest event; raises BrokerUnavailable.

    A record that is not believed goes to ``on_poison``.
    """
    reader, newest = source.broker.reader(CLIENT), NewestEvents(source.seal)
    try:
        newest.read(reader.read(source.topic.name), on_poison)
        return newest.by_product
    finally:
        reader.close()


@dataclass(frozen=True, slots=True)
class SentCommand:
    """An order that was sent, and what was known at that time."""

    command: ModelCommand
    offset: int
    versions_before: frozenset[int]


class OrderAnswers(Protocol):
    """What of a model event answers orders: how far they were read, and what has changed, oldest first."""

    @property
    def commands_until(self) -> int: ...

    @property
    def changes(self) -> Sequence[Change]: ...


def answer_to(sent: SentCommand, event: OrderAnswers | None) -> Change | None:
    """Return the change that answers the order; None while there is none.

    A promotion or a rollback is answered when its version is live or was refused; a training when the
    version it made is live or rejected; a calibration by the change that tells of its camera.
    """
    if event is None or event.commands_until <= sent.offset:
        return None
    since = [change for change in event.changes if change.at >= sent.command.at]
    refusals = [change for change in since if change.reason.startswith(f"refused: {sent.command.action}")]
    if refusals:
        return refusals[-1]
    if sent.command.action in ("calibrate", "uncalibrate"):
        told = [change for change in since if change.reason.startswith(f"{STATION} {sent.command.camera}: ")]
        return told[-1] if told else None
    decided = [change for change in since if change.after in ("live", "rejected")]
    if sent.command.action == "promote":
        decided = [change for change in decided if change.version == sent.command.version]
    if sent.command.action == "retrain":
        decided = [change for change in decided if change.version not in sent.versions_before]
    return decided[-1] if decided else None


def await_answer(
    source: EventSource, sent: SentCommand, clock: Clock, within: timedelta
) -> tuple[Change | None, ModelEvent | None]:
    """Follow the events until the order is answered; return (None, newest event) when time ran out."""
    follower, events = source.broker.follower(CLIENT, [source.topic.name]), NewestEvents(source.seal)
    end = clock.monotonic() + within.total_seconds()
    newest: ModelEvent | None = None
    try:
        while clock.monotonic() < end:
            events.read(follower.poll(POLL), ignore_poison)
            newest = events.by_product.get(sent.command.product)
            change = answer_to(sent, newest)
            if change is not None:
                return change, newest
        return None, newest
    finally:
        follower.close()
