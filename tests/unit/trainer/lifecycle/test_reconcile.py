"""A trainer and those who write under its key: what it believes, and what it writes over."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from steadyline.bank.memory import MemoryBank
from steadyline.clock import ManualClock
from steadyline.contracts.headers import Headers
from steadyline.contracts.message import MOST_EXACT, MOST_INTEGER
from steadyline.contracts.topics import Topics, line_topics
from steadyline.kafka.broker import Message, Record
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.kafka.model_events import EventSeal
from steadyline.kafka.model_orders import EventSource, newest_events
from steadyline.signing import Signer, TrustedKeys
from tests.support.event_logs import SEAL, a_state
from tests.support.model_history import a_history
from trainer.lifecycle import transitions

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def topics() -> Topics:
    return line_topics("t", 2)


@pytest.fixture
def broker(topics: Topics) -> MemoryBroker:
    broker = MemoryBroker(ManualClock())
    broker.create_topics(list(topics))
    return broker


SIGNER = Signer.new()
SIGNED = EventSeal("line-1", TrustedKeys.parse(SIGNER.public_pem()), SIGNER)


def records(broker: MemoryBroker, topics: Topics) -> list[Record]:
    return list(broker.reader("x").read(topics.model_events.name))


def publish(
    broker: MemoryBroker, topics: Topics, key: bytes, value: bytes | None, headers: Headers = ()
) -> None:
    """Write a record, as anybody does who may write to the topic."""
    message = Message(topics.model_events.name, key, value, headers)
    broker.publisher("evil").publish(message, lambda error: None)


def forged_event(broker: MemoryBroker, topics: Topics) -> None:
    event = a_history(1, 2, 3).model_copy(update={"fencing_token": 1 << 40})
    publish(broker, topics, b"cell", event.encode(), SEAL.headers(event))


def event_of_the_greatest_numbers(broker: MemoryBroker, topics: Topics) -> None:
    numbers = {"fencing_token": MOST_EXACT, "sequence": MOST_EXACT, "commands_until": MOST_INTEGER}
    event = a_history(1, 2, 3).model_copy(update=numbers)
    publish(broker, topics, b"cell", event.encode(), SEAL.headers(event))


def tombstone(broker: MemoryBroker, topics: Topics) -> None:
    publish(broker, topics, b"cell", None)


def rubbish(broker: MemoryBroker, topics: Topics) -> None:
    publish(broker, topics, b"cell", b"{no event}")


def replay(broker: MemoryBroker, topics: Topics) -> None:
    first = records(broker, topics)[0]
    publish(broker, topics, b"cell", first.value, first.headers)


INTRUSIONS = [forged_event, event_of_the_greatest_numbers, tombstone, rubbish, replay]


@pytest.mark.parametrize("seal", [SEAL, SIGNED])
@pytest.mark.parametrize("intrude", INTRUSIONS)
def test_what_others_write_under_the_key_is_overwritten_with_what_we_know(
    broker: MemoryBroker,
    topics: Topics,
    seal: EventSeal,
    intrude: Callable[[MemoryBroker, Topics], None],
) -> None:
    state = a_state(broker, topics, MemoryBank(), seal=seal)
    assert state.event.live_version is None
    state.announce(a_history(1))
    state.announce(a_history(1, 2))
    state.reconcile()
    count = len(records(broker, topics))
    intrude(broker, topics)
    state.reconcile()
    state.reconcile()
    assert len(records(broker, topics)) == count + 2, "it is overwritten once"
    assert state.event.live_version == 2
    again = newest_events(EventSource(broker, topics.model_events, seal))["cell"]
    assert again == state.event


def test_a_trainer_that_began_with_the_greatest_numbers_is_believed_all_the_same(
    broker: MemoryBroker, topics: Topics
) -> None:
    event_of_the_greatest_numbers(broker, topics)
    state = a_state(broker, topics, MemoryBank(), seal=SEAL)
    assert state.event.live_version == 3
    for _ in range(2):
        state.announce(transitions.note(state.event, 3, "looked at", NOW))
        found = newest_events(EventSource(broker, topics.model_events, SEAL))["cell"]
        assert found == state.event


def test_a_product_that_nobody_disturbs_is_announced_once(broker: MemoryBroker, topics: Topics) -> None:
    state = a_state(broker, topics, MemoryBank(), seal=SIGNED)
    state.reconcile()
    for history in (a_history(1), a_history(1, 2)):
        state.announce(history)
        state.reconcile()
    state.forget()
    state.reconcile()
    publish(broker, topics, b"tile", b"of another product")
    assert sum(record.key == b"cell" for record in records(broker, topics)) == 2


def test_a_trainer_that_is_given_a_key_signs_what_was_announced_before(
    broker: MemoryBroker, topics: Topics
) -> None:
    a_state(broker, topics, MemoryBank(), seal=SEAL).announce(a_history(1))
    assert newest_events(EventSource(broker, topics.model_events, SIGNED)) == {}
    state = a_state(broker, topics, MemoryBank(), seal=EventSeal("line-1", signer=SIGNER))
    assert state.event.live_version == 1
    state.reconcile()
    assert newest_events(EventSource(broker, topics.model_events, SIGNED))["cell"].live_version == 1
    state.reconcile()
    assert len(records(broker, topics)) == 2


def test_a_trainer_that_trusts_a_key_begins_from_no_event_of_a_stranger(
    broker: MemoryBroker, topics: Topics
) -> None:
    a_state(broker, topics, MemoryBank(), seal=SIGNED).announce(a_history(1))
    forged_event(broker, topics)
    assert a_state(broker, topics, MemoryBank(), seal=SIGNED).event.live_version == 1


def test_the_numbers_of_events_grow_also_when_the_clock_is_set_back() -> None:
    event = transitions.nothing_yet("cell", NOW)
    first = transitions.next_sequence(event, NOW)
    after = event.model_copy(update={"sequence": first})
    assert transitions.next_sequence(after, NOW - timedelta(days=1)) == first + 1
    assert transitions.next_sequence(after, NOW + timedelta(seconds=1)) == first + 1000
