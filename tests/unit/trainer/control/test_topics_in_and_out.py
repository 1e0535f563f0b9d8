"""What the trainer reads from topics and what it writes to them."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from steadyline.bank.memory import MemoryBank
from steadyline.clock import ManualClock
from steadyline.contracts.headers import Headers
from steadyline.contracts.model_command import ModelCommand
from steadyline.contracts.model_event import ModelEvent
from steadyline.contracts.topics import Topics, line_topics
from steadyline.errors import BrokerUnavailable, NotAllowed
from steadyline.kafka.broker import Message, Partition
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.kafka.model_orders import EventSource, newest_events
from steadyline.line import Line
from steadyline.store import Store
from tests.support.event_logs import (
    SEAL,
    FrozenPublisher,
    RefusedPublisher,
    UnheardPublisher,
    a_state,
    an_announcer,
)
from tests.support.model_history import a_history
from tests.support.stream_scores import KEY, a_score
from trainer.control.inbox import InboxDispatcher, ProductInbox, reservoir_rules
from trainer.lifecycle import transitions
from trainer.lifecycle.leases import LEASE, LeaseLost, Leases
from trainer.lifecycle.product_state import ProductState
from trainer.lifecycle.transitions import CommandsRead

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


def publish(broker: MemoryBroker, topic: str, key: bytes | None, value: bytes) -> None:
    broker.publisher("t").publish(Message(topic, key, value, partition=0), lambda error: None)


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


def test_an_event_whose_acknowledgement_was_lost_counts_as_what_the_topic_says(
    broker: MemoryBroker, topics: Topics
) -> None:
    clock, bank = ManualClock(), MemoryBank()
    unheard = UnheardPublisher(broker.publisher("t"))
    event_log = an_announcer(broker, topics, publisher=unheard)
    leases = Leases(bank, ["cell"], "a", clock)
    leases.renew()
    state = ProductState("cell", event_log, leases, clock)
    with pytest.raises(BrokerUnavailable):
        state.announce(a_history(1))
    assert state.event.live_version == 1


def test_an_event_that_is_not_allowed_is_no_outage(broker: MemoryBroker, topics: Topics) -> None:
    clock = ManualClock()
    refused = an_announcer(broker, topics, publisher=RefusedPublisher(broker.publisher("t")))
    leases = Leases(MemoryBank(), ["cell"], "a", clock)
    leases.renew()
    with pytest.raises(NotAllowed, match="model-events"):
        ProductState("cell", refused, leases, clock).announce(a_history(1))


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
    with state.answering(CommandsRead("id", 5)):
        state.announce(a_history(1))
    assert state.event.commands_until == 5
    assert sum(1 for _ in broker.reader("x").read(topics.model_events.name)) == 1


def test_an_answer_without_a_deed_is_an_event_too(broker: MemoryBroker, topics: Topics) -> None:
    state = a_state(broker, topics, MemoryBank())
    state.announce(a_history(1))
    with state.answering(CommandsRead("id", 5)):
        pass
    assert an_announcer(broker, topics).newest("cell") == state.event
    assert state.event.commands_until == 5


def test_what_is_cut_short_is_not_answered(broker: MemoryBroker, topics: Topics) -> None:
    state = a_state(broker, topics, MemoryBank())
    with pytest.raises(BrokerUnavailable), state.answering(CommandsRead("id", 5)):
        raise BrokerUnavailable("in the middle")
    state.announce(transitions.note(a_history(1), 1, "later", NOW))
    assert state.event.commands_until == 0


def a_line(*products: str) -> Line:
    rules = {"retrain": {"quarantine": 0}}
    return Line.model_validate(
        {"line": "line-1", "topics": {"prefix": "t"}, "products": dict.fromkeys(products, rules)}
    )


def an_inbox(product: str = "cell") -> ProductInbox:
    return ProductInbox(product, reservoir_rules(a_line(product), product, KEY, Store("memory://s")))


def a_dispatcher(broker: MemoryBroker, *inboxes: ProductInbox) -> InboxDispatcher:
    names = ("cell", "tile")
    inboxes_by_name = dict(zip(names, inboxes, strict=False))
    return InboxDispatcher(broker, a_line(*names), inboxes_by_name, SEAL, ManualClock())


def order(broker: MemoryBroker, topics: Topics, *products: str) -> None:
    for product in products:
        command = a_command(product)
        headers = command.headers("line-1", product, NOW)
        message = Message(topics.model_commands.name, product.encode(), command.encode(), headers)
        broker.publisher("t").publish(message, lambda error: None)


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
    assert a_dispatcher(broker, inbox).turn(timedelta(0), STOP) is None
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
    dispatcher = a_dispatcher(broker, cell, tile)
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
    a_dispatcher(broker, cell, tile).turn(timedelta(0), STOP)
    assert waiting(tile) == [*range(1, 1000, 2)]


@pytest.mark.parametrize("answered", [10, 700])
def test_commands_that_retention_has_deleted_hold_up_nothing(
    broker: MemoryBroker, topics: Topics, answered: int
) -> None:
    inbox = an_inbox()
    order(broker, topics, *["cell"] * 1000)
    broker.expire(Partition(topics.model_commands.name, 0), 600)
    answer(broker, topics, "cell", answered)
    a_dispatcher(broker, inbox).turn(timedelta(0), STOP)
    assert waiting(inbox) == [*range(max(600, answered), 1000)]


def test_scores_fill_the_reservoir(broker: MemoryBroker, topics: Topics) -> None:
    inbox = an_inbox()
    answer(broker, topics, "cell", 5)
    for sequence in (1, 2, 3):
        publish(broker, topics.scores.name, b"c1", a_score(sequence).encode())
    publish(broker, topics.scores.name, b"c1", b"no score")
    a_dispatcher(broker, inbox).turn(timedelta(0), STOP)
    assert [normal.frame for normal in inbox.normals()] == ["c1/7/1", "c1/7/2", "c1/7/3"]
    start = ManualClock().now()
    assert [normal.at for normal in inbox.normals()] == [start] * 3  # the broker's, and not the camera's
    assert inbox.newer_than(start - timedelta(seconds=1)) == 3
    assert inbox.newer_than(start) == 0


def test_a_score_of_another_key_frame_or_picture_fills_nothing_and_stops_nothing(
    broker: MemoryBroker, topics: Topics
) -> None:
    inbox, good = an_inbox(), a_score(9)
    elsewhere = (good.picture_uri or "").replace("/id/0/", "/id/1/")
    forged: list[tuple[bytes | None, dict[str, object]]] = [
        (b"c2", {}),
        (b"", {}),
        (None, {}),
        (b"c1", {"frame": "c2/7/1"}),
        (b"c1", {"frame": "c1/0/1"}),
        (b"c1", {"frame": "../x"}),
        (b"c1", {"picture_uri": "memory://s/evidence"}),
        (b"c1", {"picture_uri": "memory://s/../x"}),
        (b"c1", {"picture_uri": "http://elsewhere/x"}),
        (b"c1", {"source_offset": 8}),
        (b"c1", {"frame": "c1/7/10", "source_partition": 1, "picture_uri": elsewhere}),
    ]
    for key, update in forged:
        publish(broker, topics.scores.name, key, good.model_copy(update=update).encode())
    publish(broker, topics.scores.name, b"c1", good.encode())
    a_dispatcher(broker, inbox).turn(timedelta(0), STOP)
    assert [normal.frame for normal in inbox.normals()] == ["c1/7/9"]


def test_an_outage_at_the_start_or_later_loses_no_command(broker: MemoryBroker, topics: Topics) -> None:
    inbox = an_inbox()
    dispatcher = a_dispatcher(broker, inbox)
    order(broker, topics, "cell")
    for offset in range(2):
        broker.set_away(True)
        assert isinstance(dispatcher.turn(timedelta(0), STOP), BrokerUnavailable)
        broker.set_away(False)
        assert dispatcher.turn(timedelta(0), STOP) is None
        assert waiting(inbox) == [offset]
        order(broker, topics, "cell")


def test_what_a_frozen_trainer_writes_after_another_took_over_is_believed_by_nobody(
    broker: MemoryBroker, topics: Topics
) -> None:
    clock = ManualClock()
    bank = MemoryBank(clock)
    ours, theirs = (Leases(bank, ["cell"], owner, clock) for owner in ("a", "b"))
    successor = ProductState("cell", an_announcer(broker, topics), theirs, clock)

    def taken_over() -> None:
        clock.advance(LEASE + timedelta(seconds=1))
        theirs.renew()
        successor.announce(a_history(1, 2, 3))

    ours.renew()
    ProductState("cell", an_announcer(broker, topics), ours, clock).announce(a_history(1))
    frozen = FrozenPublisher(broker.publisher("t"), taken_over)
    event_log = an_announcer(broker, topics, publisher=frozen)
    ProductState("cell", event_log, ours, clock).announce(a_history(1, 2))
    written = [
        ModelEvent.decode(record.value) for record in broker.reader("x").read(topics.model_events.name)
    ]
    assert [event.live_version for event in written] == [1, 3, 2]
    newest = an_announcer(broker, topics).newest("cell")
    assert newest is not None
    assert newest.live_version == 3
    assert newest_events(EventSource(broker, topics.model_events, SEAL))["cell"] == newest
    assert written[2].is_stale(newest)
    assert not newest.is_stale(written[2])


def test_a_trainer_outbids_the_event_it_finds_when_redis_has_lost_the_count(
    broker: MemoryBroker, topics: Topics
) -> None:
    a_state(broker, topics, MemoryBank()).announce(a_history(1).model_copy(update={"fencing_token": 41}))
    later = a_state(broker, topics, MemoryBank(), "b")
    later.announce(transitions.note(later.event, 1, "taken over", NOW))
    assert later.event.fencing_token == 43


def test_the_history_is_read_once_every_command_and_score_of_the_start_is_there(
    broker: MemoryBroker, topics: Topics
) -> None:
    inbox = an_inbox()
    order(broker, topics, "cell")
    publish(broker, topics.scores.name, b"c1", a_score(1).encode())
    dispatcher = a_dispatcher(broker, inbox)
    assert not inbox.has_read_history
    broker.set_away(True)
    dispatcher.turn(timedelta(0), STOP)
    assert not inbox.has_read_history
    broker.set_away(False)
    while not inbox.has_read_history:
        assert dispatcher.turn(timedelta(0), STOP) is None
    assert waiting(inbox) == [0]
    assert dispatcher.has_read_history


def test_the_commands_of_a_topic_made_anew_are_read_from_its_beginning_and_answered(
    broker: MemoryBroker, topics: Topics
) -> None:
    name = topics.model_commands.name
    (former,) = broker.topic_ids([name]).values()
    event = transitions.answered(a_history(1), CommandsRead(former, 500), NOW)
    an_announcer(broker, topics).announce(event)
    broker.delete_topic(name)
    broker.create_topics([topics.model_commands])
    order(broker, topics, "cell")
    inbox = an_inbox()
    a_dispatcher(broker, inbox).turn(timedelta(0), STOP)
    assert waiting(inbox) == [0]
    assert transitions.answered_until(event, inbox.commands_topic) == 0


Forged = tuple[bytes | None, bytes | None, Headers]


def forged_commands() -> Iterator[Forged]:
    """Yield records among the commands that are not commands to a product of this line."""
    command, key = a_command(), b"cell"
    value, headers = command.encode(), command.headers("line-1", "cell", NOW)
    for other in (None, b"", b"tile", b"cell ", b"Cell", b"c" * 1_000_000):
        yield other, value, headers
    for content in (
        None,
        b"",
        b"{",
        b"\xff",
        b"[" * 100_000,
        value.replace(b'"me"', b'"%s"' % (b"m" * 900_000)),
    ):
        yield key, content, headers
    yield key, value, ()
    yield key, value, command.headers("line-2", "cell", NOW)
    yield key, value, command.headers("line-1", "tile", NOW)
    yield key, value, (*headers, ("ce_source", b"/steadyline/line-1"))
    for index, (name, _) in enumerate(headers):
        yield key, value, (*headers[:index], *headers[index + 1 :])
        yield key, value, (*headers[:index], (name, b"\xff"), *headers[index + 1 :])
    strange = a_command("nobody")
    yield b"nobody", strange.encode(), strange.headers("line-1", "nobody", NOW)


def test_records_that_are_no_command_to_this_line_are_passed_over_and_the_next_one_is_not(
    broker: MemoryBroker, topics: Topics
) -> None:
    forged = list(forged_commands())
    for key, value, headers in forged:
        message = Message(topics.model_commands.name, key, value, headers)
        broker.publisher("t").publish(message, lambda error: None)
    order(broker, topics, "cell")
    inbox = an_inbox()
    dispatcher = a_dispatcher(broker, inbox)
    while not dispatcher.has_read_history:
        dispatcher.turn(timedelta(0), STOP)
    assert waiting(inbox) == [len(forged)]
