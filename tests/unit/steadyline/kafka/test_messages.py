"""Messages of followed topics: handed on in order, poison told in one place, outages waited out."""

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from steadyline.clock import ManualClock
from steadyline.contracts.model_command import ModelCommand
from steadyline.contracts.topics import line_topics
from steadyline.errors import BrokerUnavailable, ContractBroken, MalformedMessage, PoisonMessage
from steadyline.kafka.broker import Message, Record
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.kafka.messages import MessageFollower, Subscription, decoded, ignore_poison

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TOPICS = line_topics("t", 1)
COMMANDS = TOPICS.model_commands.name
STOP = threading.Event()


def a_command(who: str) -> bytes:
    return ModelCommand(product="cell", action="retrain", version=None, who=who, at=NOW, why="").encode()


@dataclass
class FollowedCommands:
    """A topic of commands in memory, and what its follower has handed on."""

    clock: ManualClock = field(default_factory=ManualClock)
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    taken: list[tuple[int, str]] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        subscription = Subscription(COMMANDS, ModelCommand, self._take, self._refuse)
        self.messages = MessageFollower(
            lambda: self.broker.follower("test", [COMMANDS]), [subscription], self.clock
        )

    def publish(self, *values: bytes) -> None:
        publisher = self.broker.publisher("test")
        for value in values:
            publisher.publish(Message(COMMANDS, b"cell", value), lambda error: None)

    def turn(self) -> BrokerUnavailable | None:
        return self.messages.turn(timedelta(0), STOP)

    def _take(self, record: Record, command: ModelCommand) -> None:
        if command.who == "nobody":
            raise MalformedMessage("nobody may order")
        self.taken.append((record.offset, command.who))

    def _refuse(self, record: Record, error: PoisonMessage) -> None:
        self.refused.append((record.offset, error.reason))


@pytest.fixture
def commands() -> FollowedCommands:
    made = FollowedCommands()
    made.broker.create_topics(list(TOPICS))
    return made


def test_each_message_is_handed_on_once_and_in_order(commands: FollowedCommands) -> None:
    commands.publish(a_command("ann"), a_command("bob"))
    assert commands.turn() is None
    commands.publish(a_command("eve"))
    assert commands.turn() is None
    assert commands.taken == [(0, "ann"), (1, "bob"), (2, "eve")]


def test_poison_is_told_in_one_place_and_what_follows_it_is_handed_on(commands: FollowedCommands) -> None:
    commands.publish(b"{", a_command("nobody"), a_command("ann"))
    assert commands.turn() is None
    assert commands.refused == [(0, "malformed_message"), (1, "malformed_message")]
    assert commands.taken == [(2, "ann")]


def test_an_outage_is_said_waited_out_and_costs_no_message(commands: FollowedCommands) -> None:
    commands.publish(a_command("ann"))
    assert commands.turn() is None
    commands.publish(a_command("bob"))
    commands.broker.set_away(True)
    assert isinstance(commands.turn(), BrokerUnavailable)
    assert commands.clock.monotonic() == 0
    assert isinstance(commands.turn(), BrokerUnavailable)
    commands.broker.set_away(False)
    assert commands.turn() is None
    assert commands.clock.monotonic() == 2
    assert commands.turn() is None
    assert commands.clock.monotonic() == 2
    assert commands.taken == [(0, "ann"), (1, "bob")]


def test_a_broker_that_is_away_at_the_start_is_waited_for(commands: FollowedCommands) -> None:
    commands.broker.set_away(True)
    assert isinstance(commands.turn(), BrokerUnavailable)
    commands.broker.set_away(False)
    commands.publish(a_command("ann"))
    assert commands.turn() is None
    assert commands.taken == [(0, "ann")]


def test_a_missing_topic_is_no_outage() -> None:
    with pytest.raises(ContractBroken, match=COMMANDS):
        FollowedCommands().turn()


def test_it_can_be_closed_before_and_after_its_first_turn(commands: FollowedCommands) -> None:
    commands.messages.close()
    commands.turn()
    commands.messages.close()


def test_decoded_passes_over_what_does_not_fit(commands: FollowedCommands) -> None:
    commands.publish(a_command("ann"), b"{", a_command("bob"))
    records = commands.broker.reader("test").read(COMMANDS)
    found = decoded(records, ModelCommand, ignore_poison)
    assert [(record.offset, command.who) for record, command in found] == [(0, "ann"), (2, "bob")]
