"""Reads the newest event of each product's models, and waits for the trainer's answer to an order."""

from dataclasses import dataclass
from datetime import timedelta

from steadyline.clock import Clock
from steadyline.contracts.model_command import ModelCommand
from steadyline.contracts.model_event import Change, ModelEvent
from steadyline.contracts.topics import Topic
from steadyline.kafka.broker import Broker
from steadyline.kafka.messages import decoded, ignore_poison

CLIENT = "steadyline-models"
POLL = timedelta(milliseconds=200)


def newest_events(broker: Broker, topic: Topic) -> dict[str, ModelEvent]:
    """Return product → its newest event; raises BrokerUnavailable."""
    reader = broker.reader(CLIENT)
    try:
        events = decoded(reader.read(topic.name), ModelEvent, ignore_poison)
        return {event.product: event for _, event in events}
    finally:
        reader.close()


@dataclass(frozen=True, slots=True)
class SentCommand:
    """An order that was sent, and what was known at that time."""

    command: ModelCommand
    offset: int
    versions_before: frozenset[int]


def answer_to(sent: SentCommand, event: ModelEvent | None) -> Change | None:
    """Return the change that answers the order; None while there is none.

    A promotion or a rollback is answered when its version is live or was refused; a training when the
    version it made is live or rejected.
    """
    if event is None or event.commands_until <= sent.offset:
        return None
    since = [change for change in event.changes if change.at >= sent.command.at]
    refusals = [change for change in since if change.reason.startswith(f"refused: {sent.command.action}")]
    if refusals:
        return refusals[-1]
    decided = [change for change in since if change.after in ("live", "rejected")]
    if sent.command.action == "promote":
        decided = [change for change in decided if change.version == sent.command.version]
    if sent.command.action == "retrain":
        decided = [change for change in decided if change.version not in sent.versions_before]
    return decided[-1] if decided else None


def await_answer(
    broker: Broker, topic: Topic, sent: SentCommand, clock: Clock, within: timedelta
) -> tuple[Change | None, ModelEvent | None]:
    """Follow the events until the order is answered; return (None, newest event) when time ran out."""
    follower = broker.follower(CLIENT, [topic.name])
    end = clock.monotonic() + within.total_seconds()
    newest: ModelEvent | None = None
    try:
        while clock.monotonic() < end:
            for _, event in decoded(follower.poll(POLL), ModelEvent, ignore_poison):
                newest = event if event.product == sent.command.product else newest
            change = answer_to(sent, newest)
            if change is not None:
                return change, newest
        return None, newest
    finally:
        follower.close()
