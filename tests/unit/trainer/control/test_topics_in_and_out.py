"""What the trainer reads from topics and what it writes to them."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from steadyline.bank.memory import MemoryBank
from steadyline.clock import ManualClock
from steadyline.contracts.model_command import ModelCommand
from steadyline.contracts.topics import Topics, line_topics
from steadyline.errors import BrokerUnavailable
from steadyline.kafka.broker import Message, Partition, Publisher
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.line import RetrainSection
from tests.support.model_history import a_history
from tests.support.stream_scores import a_score
from trainer.control.inbox import InboxDispatcher, ProductInbox
from trainer.lifecycle import transitions
from trainer.lifecycle.event_log import EventLog
from trainer.lifecycle.leases import Leases
from trainer.lifecycle.product_state import LeaseLost, ProductState

NOW = datetime(2026, 3, 1, tzinfo=UTC)
STOP = threading.Event()


@pytest.fixture
def topics() -> Topics:
    return line_topics("t", 2)


@pytest.fixture
def broker(topics: Topics) -> MemoryBroker:
    broker = MemoryBroker(ManualClock())
    broker.create_topics(list(topics))
    return broker


def an_announcer(broker: MemoryBroker, topics: Topics) -> EventLog:
    return EventLog(broker.publisher("t"), broker.reader("t"), topics.model_events.name, "line-1")


def a_state(broker: MemoryBroker, topics: Topics, bank: MemoryBank, owner: str = "a") -> ProductState:
    clock = ManualClock()
    leases = Leases(bank, ["cell"], owner, clock)
    leases.renew()
    return ProductState("cell", an_announcer(broker, topics), leases, clock)


def publish(broker: MemoryBroker, topic: str, key: bytes, value: bytes) -> None:
    broker.publisher("t").publish(Message(topic, key, value), lambda error: None)


def a_command(product: str = "cell") -> ModelCommand:
    return ModelCommand(product=product, action="retrain", version=None, who="me", at=NOW, why="test")


def test_the_newest_event_of_the_product_is_its_state(broker: MemoryBroker, topics: Topics) -> None:
    event_log = an_announcer(broker, topics)
    assert event_log.newest("cell") is None
    event_log.announce(a_history(1))
    event_log.announce(a_history(1, 2))
    event_log.announce(a_history(1).model_copy(update={"product": "tile"}))
    newest = event_log.newest("cell")
    assert newest is not None
    assert newest.live_version == 2


def test_an_event_that_cannot_be_read_is_passed_over(broker: MemoryBroker, topics: Topics) -> None:
    event_log = an_announcer(broker, topics)
    event_log.announce(a_history(1))
    publish(broker, topics.model_events.name, b"cell", b"{no event}")
    assert event_log.newest("cell") == a_history(1)


def test_a_product_without_events_has_no_model(broker: MemoryBroker, topics: Topics) -> None:
    state = a_state(broker, topics, MemoryBank())
    assert (state.event.live_version, state.event.models) == (None, [])


def test_nothing_is_announced_without_the_claim(broker: MemoryBroker, topics: Topics) -> None:
    bank = MemoryBank()
    first, second = a_state(broker, topics, bank), a_state(broker, topics, bank, "b")
    first.announce(a_history(1))
    with pytest.raises(LeaseLost):
        second.announce(a_history(1, 2))
    assert second.event.live_version == 1


class Unheard:
    """A publisher whose acknowledgements are lost: the broker has the event, and nobody here knows."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def publish(self, message: Message, done: Callable[[Exception | None], None]) -> None:
        self._publisher.publish(message, lambda error: done(BrokerUnavailable("no answer")))

    def flush(self, within: timedelta) -> bool:
        return self._publisher.flush(within)

    def close(self) -> None:
        self._publisher.close()


def test_an_event_whose_acknowledgement_was_lost_counts_as_what_the_topic_says(
    broker: MemoryBroker, topics: Topics
) -> None:
    clock, bank = ManualClock(), MemoryBank()
    unheard = Unheard(broker.publisher("t"))
    event_log = EventLog(unheard, broker.reader("t"), topics.model_events.name, "line-1")
    leases = Leases(bank, ["cell"], "a", clock)
    leases.renew()
    state = ProductState("cell", event_log, leases, clock)
    with pytest.raises(BrokerUnavailable):
        state.announce(a_history(1))
    assert state.event.live_version == 1


def test_nothing_has_changed_when_the_broker_does_not_take_the_event(
    broker: MemoryBroker, topics: Topics
) -> None:
    state = a_state(broker, topics, MemoryBank())
    state.announce(a_history(1))
    broker.set_away(True)
    with pytest.raises(BrokerUnavailable):
        state.announce(a_history(1, 2))
    broker.set_away(False)
    assert state.event.live_version == 1


def test_a_deed_and_its_answer_are_one_event(broker: MemoryBroker, topics: Topics) -> None:
    state = a_state(broker, topics, MemoryBank())
    with state.answering(5):
        state.announce(a_history(1))
    assert state.event.commands_until == 5
    assert sum(1 for _ in broker.reader("x").read(topics.model_events.name)) == 1


def test_an_answer_without_a_deed_is_an_event_too(broker: MemoryBroker, topics: Topics) -> None:
    state = a_state(broker, topics, MemoryBank())
    state.announce(a_history(1))
    with state.answering(5):
        pass
    assert an_announcer(broker, topics).newest("cell") == state.event
    assert state.event.commands_until == 5


def test_what_is_cut_short_is_not_answered(broker: MemoryBroker, topics: Topics) -> None:
    state = a_state(broker, topics, MemoryBank())
    with pytest.raises(BrokerUnavailable), state.answering(5):
        raise BrokerUnavailable("in the middle")
    state.announce(transitions.note(a_history(1), 1, "later", NOW))
    assert state.event.commands_until == 0


def an_inbox(product: str = "cell") -> ProductInbox:
    return ProductInbox(product, RetrainSection(quarantine=timedelta(0)))


def a_dispatcher(broker: MemoryBroker, topics: Topics, *inboxes: ProductInbox) -> InboxDispatcher:
    names = ("cell", "tile")
    return InboxDispatcher(broker, topics, dict(zip(names, inboxes, strict=False)), ManualClock())


def order(broker: MemoryBroker, topics: Topics, *products: str) -> None:
    for product in products:
        publish(broker, topics.model_commands.name, product.encode(), a_command(product).encode())


def answer(broker: MemoryBroker, topics: Topics, product: str, commands_until: int) -> None:
    event = a_history(1).model_copy(update={"product": product, "commands_until": commands_until})
    an_announcer(broker, topics).announce(event)


def waiting(inbox: ProductInbox) -> list[int]:
    """Return the offsets of the commands in the inbox, and empty it."""
    offsets = []
    while (command := inbox.next_command()) is not None:
        offsets.append(command[0])
        inbox.done_with(command[0])
    return offsets


def test_commands_reach_their_product_in_order_and_stay_until_done(
    broker: MemoryBroker, topics: Topics
) -> None:
    inbox = an_inbox()
    order(broker, topics, "cell", "tile", "cell")
    publish(broker, topics.model_commands.name, b"cell", b"no command")
    assert a_dispatcher(broker, topics, inbox).turn(timedelta(0), STOP) is None
    for offset in (0, 2):
        assert inbox.next_command() == inbox.next_command() == (offset, a_command())
        inbox.done_with(offset)
    assert inbox.next_command() is None


def test_of_a_long_topic_only_commands_that_may_be_unanswered_are_read(
    broker: MemoryBroker, topics: Topics
) -> None:
    cell, tile = an_inbox(), an_inbox("tile")
    order(broker, topics, *["cell", "tile"] * 500)
    answer(broker, topics, "cell", 991)
    answer(broker, topics, "tile", 980)
    dispatcher = a_dispatcher(broker, topics, cell, tile)
    dispatcher.turn(timedelta(0), STOP)
    assert waiting(cell) == [*range(980, 1000, 2)]  # 980-990 were answered: the controller passes them over
    assert waiting(tile) == [*range(981, 1000, 2)]
    order(broker, topics, "cell")
    dispatcher.turn(timedelta(0), STOP)
    assert waiting(cell) == [1000]


def test_a_product_without_an_event_has_its_commands_read_from_the_beginning(
    broker: MemoryBroker, topics: Topics
) -> None:
    cell, tile = an_inbox(), an_inbox("tile")
    order(broker, topics, *["cell", "tile"] * 500)
    answer(broker, topics, "cell", 1000)
    a_dispatcher(broker, topics, cell, tile).turn(timedelta(0), STOP)
    assert waiting(tile) == [*range(1, 1000, 2)]


@pytest.mark.parametrize("answered", [10, 700])
def test_commands_that_retention_has_deleted_hold_up_nothing(
    broker: MemoryBroker, topics: Topics, answered: int
) -> None:
    inbox = an_inbox()
    order(broker, topics, *["cell"] * 1000)
    broker.expire(Partition(topics.model_commands.name, 0), 600)
    answer(broker, topics, "cell", answered)
    a_dispatcher(broker, topics, inbox).turn(timedelta(0), STOP)
    assert waiting(inbox) == [*range(max(600, answered), 1000)]


def test_scores_fill_the_reservoir(broker: MemoryBroker, topics: Topics) -> None:
    inbox = an_inbox()
    answer(broker, topics, "cell", 5)
    for sequence in (1, 2, 3):
        publish(broker, topics.scores.name, b"c1", a_score(sequence).encode())
    publish(broker, topics.scores.name, b"c1", b"no score")
    a_dispatcher(broker, topics, inbox).turn(timedelta(0), STOP)
    inbox.admit(NOW + timedelta(minutes=1))
    assert [normal.frame for normal in inbox.normals()] == ["c1/7/1", "c1/7/2", "c1/7/3"]
    assert inbox.newer_than(NOW + timedelta(seconds=2)) == 1


def test_an_outage_at_the_start_or_later_loses_no_command(broker: MemoryBroker, topics: Topics) -> None:
    inbox = an_inbox()
    dispatcher = a_dispatcher(broker, topics, inbox)
    order(broker, topics, "cell")
    for offset in range(2):
        broker.set_away(True)
        assert isinstance(dispatcher.turn(timedelta(0), STOP), BrokerUnavailable)
        broker.set_away(False)
        assert dispatcher.turn(timedelta(0), STOP) is None
        assert waiting(inbox) == [offset]
        order(broker, topics, "cell")
