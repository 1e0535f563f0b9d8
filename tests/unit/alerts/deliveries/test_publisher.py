"""Changes of incidents on their way to their topic."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from alerts.deliveries.publisher import AlertPublisher, PublisherPlace
from steadyline.clock import ManualClock
from steadyline.contracts.alert import Alert
from steadyline.contracts.topics import line_topics
from steadyline.errors import BrokerUnavailable, NotAllowed, SteadylineError
from steadyline.kafka.broker import Message
from steadyline.kafka.memory.broker import MemoryBroker
from tests.support.alert_outbox import OutboxBench, an_alert, incident_of

TOPIC = line_topics("line-1", 2).alerts


class ForgetfulPublisher:
    """Takes what it is given, and says of one message that the broker did not."""

    def __init__(self) -> None:
        self.taken: list[Message] = []
        self.fails_at: int | None = None
        self.fault: SteadylineError = BrokerUnavailable("nobody there")
        self.stamped_ms = 0

    def publish(self, message: Message, done: Callable[[Exception | None], None]) -> None:
        self.taken.append(message)
        failing = len(self.taken) == self.fails_at
        done(self.fault if failing else None)

    def flush(self, within: timedelta) -> bool:
        return True

    def close(self) -> None:
        pass


class PublisherBench:
    """An outbox and the topic in memory."""

    def __init__(self, path: Path) -> None:
        self.outbox, self.broker = OutboxBench.on_file(path), MemoryBroker()
        self.broker.create_topics([TOPIC])

    def publisher(self, holder: str) -> AlertPublisher:
        place = PublisherPlace(TOPIC.name, "line-1", holder)
        return AlertPublisher(self.outbox.database, self.broker.publisher(holder), place, self.outbox.clock)

    def published(self) -> list[tuple[str, int]]:
        records = self.broker.reader("test").read(TOPIC.name)
        found = [Alert.decode(record.value) for record in records]
        return [(alert.incident, alert.sequence) for alert in found]


@pytest.fixture
def bench(tmp_path: Path) -> PublisherBench:
    return PublisherBench(tmp_path / "alerts.db")


def test_each_change_is_published_once_in_order_whether_it_notifies_or_not(bench: PublisherBench) -> None:
    one = bench.publisher("one")
    assert one.turn() == 0
    bench.outbox.write([an_alert(incident=incident_of(n), notify=n % 2 == 0) for n in range(250)])
    assert [one.turn(), one.turn(), one.turn()] == [200, 50, 0]
    bench.outbox.change(1, 2)
    assert one.turn() == 1
    assert bench.published() == [*((incident_of(n), 1) for n in range(250)), (incident_of(1), 2)]


def test_the_message_is_the_contract_s_own(bench: PublisherBench) -> None:
    trace = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
    alert = an_alert()
    bench.outbox.write([alert], trace)
    bench.publisher("one").turn()
    [record] = bench.broker.reader("test").read(TOPIC.name)
    assert (record.key, record.value) == (alert.incident.encode(), alert.encode())
    assert record.headers == alert.headers("line-1", alert.incident, alert.at, trace)


def test_nothing_is_lost_while_the_broker_is_away(bench: PublisherBench) -> None:
    one = bench.publisher("one")
    bench.outbox.change(1)
    bench.broker.set_away(True)
    assert one.turn() == 0
    bench.outbox.change(2)
    bench.broker.set_away(False)
    assert one.turn() == 2
    assert bench.published() == [(incident_of(1), 1), (incident_of(2), 1)]


def test_of_several_processes_one_publishes_until_it_falls_silent(bench: PublisherBench) -> None:
    one, two = bench.publisher("one"), bench.publisher("two")
    bench.outbox.change(1)
    assert (one.turn(), two.turn()) == (1, 0)
    bench.outbox.change(2)
    assert (two.turn(), one.turn()) == (0, 1)
    bench.outbox.change(3)
    assert isinstance(bench.outbox.clock, ManualClock)
    bench.outbox.clock.advance(PublisherPlace("", "", "").held)  # one is dead
    assert (two.turn(), one.turn()) == (1, 0)
    assert bench.published() == [(incident_of(n), 1) for n in (1, 2, 3)]


def test_what_the_broker_did_not_acknowledge_is_written_again_with_all_behind_it(
    bench: PublisherBench,
) -> None:
    forgetful = ForgetfulPublisher()
    place = PublisherPlace(TOPIC.name, "line-1", "one")
    publisher = AlertPublisher(bench.outbox.database, forgetful, place, bench.outbox.clock)
    bench.outbox.write([an_alert(incident=incident_of(n)) for n in range(3)])
    forgetful.fails_at = 2
    assert (publisher.turn(), publisher.turn()) == (0, 3)
    keys = [message.key for message in forgetful.taken]
    assert keys == [incident_of(n).encode() for n in (0, 1, 2, 0, 1, 2)]


def test_a_change_that_is_not_allowed_is_no_outage_and_is_published_by_the_next_process(
    bench: PublisherBench,
) -> None:
    forgetful = ForgetfulPublisher()
    place = PublisherPlace(TOPIC.name, "line-1", "one")
    publisher = AlertPublisher(bench.outbox.database, forgetful, place, bench.outbox.clock)
    bench.outbox.write([an_alert(incident=incident_of(n)) for n in range(3)])
    forgetful.fails_at, forgetful.fault = 2, NotAllowed("publishing to alerts.v1")
    with pytest.raises(NotAllowed, match="alerts"):
        publisher.turn()
    assert publisher.turn() == 3
