"""The trainer's threads wait for none of each other: what hangs is named, and nothing else stands still."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

import pytest
from typing_extensions import override

from steadyline.bank.memory import MemoryBank
from steadyline.clock import ManualClock, SystemClock
from steadyline.kafka.broker import Follower, Partition
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.kafka.model_events import EventSeal
from steadyline.line import Line
from steadyline.telemetry.health import ServiceHealth
from tests.support.eventually import eventually
from trainer.control.inbox import InboxDispatcher
from trainer.lifecycle.leases import LEASE, Leases, LeaseState
from trainer.service import LONGEST_READ, LONGEST_TURN, Trainer

SOON = 10.0
PRODUCTS = ("cell", "tile")


HASTE = 20


class HastyClock(SystemClock):
    """A clock on which twenty seconds pass in one, so that leases run out while a test waits."""

    @override
    def monotonic(self) -> float:
        return super().monotonic() * HASTE

    @override
    def wait(self, stop: threading.Event, duration: timedelta) -> bool:
        return super().wait(stop, duration / HASTE)


class SlowBroker(MemoryBroker):
    """A broker that opens no follower before it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()
        self.released.set()

    @override
    def follower(
        self, client: str, topics: Sequence[str], start: Mapping[Partition, int] | None = None
    ) -> Follower:
        self.released.wait()
        return super().follower(client, topics, start)


class ScriptedController:
    """A controller whose turns only count, until ``hangs`` is set; then one waits for ``released``."""

    def __init__(self, product: str) -> None:
        self.product = product
        self.turns = 0
        self.hangs, self.is_hanging = threading.Event(), threading.Event()
        self.released, self.stood_by = threading.Event(), threading.Event()

    def turn(self) -> None:
        self.turns += 1
        if self.hangs.is_set():
            self.is_hanging.set()
            self.released.wait()

    def stand_by(self) -> None:
        self.stood_by.set()


class RunningTrainer:
    """A trainer of two products on twins; its health has a clock that tests move by hand."""

    def __init__(self) -> None:
        line, clock = Line.model_validate({"line": "l", "products": {"cell": {}}}), HastyClock()
        self.broker, self.health_clock = SlowBroker(), ManualClock()
        self.broker.create_topics(list(line.kafka_topics()))
        self.bank = MemoryBank(clock)
        self.leases = Leases(self.bank, PRODUCTS, "a", clock)
        self.health = ServiceHealth(self.health_clock)
        self.cell, self.tile = (ScriptedController(name) for name in PRODUCTS)
        dispatcher = InboxDispatcher(self.broker, line, {}, EventSeal(line.line), clock)
        trainer = Trainer([self.cell, self.tile], dispatcher, self.leases, self.health, clock)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=trainer.run, args=(self.stop,))

    def silent(self) -> list[str]:
        names: list[str] = self.health.live()[1]["silent"]
        return names

    def end(self) -> None:
        self.broker.released.set()
        self.cell.released.set()
        self.stop.set()
        self.thread.join(SOON)
        assert not self.thread.is_alive()


@pytest.fixture
def running() -> Iterator[RunningTrainer]:
    made = RunningTrainer()
    yield made
    made.end()


def lives_on(running: RunningTrainer) -> None:
    """Wait until the lease of both products would have run out, and look that no other trainer gets it."""
    began = running.leases.token_of("cell"), time.monotonic()
    eventually(lambda: time.monotonic() - began[1] > 2 * LEASE.total_seconds() / HASTE, SOON)
    for product in PRODUCTS:
        assert running.bank.acquire_leases({product: 0}, "another", 1) == {product: 0}
        assert running.leases.state_of(product) is LeaseState.HELD
    assert running.leases.token_of("cell") == began[0]


def test_a_controller_that_hangs_is_named_and_costs_no_product_its_lease(running: RunningTrainer) -> None:
    running.thread.start()
    eventually(lambda: running.cell.turns > 2, SOON)
    running.health_clock.advance(LONGEST_TURN)
    eventually(lambda: running.silent() == [], SOON)
    running.cell.hangs.set()
    assert running.cell.is_hanging.wait(SOON)
    running.health_clock.advance(LONGEST_TURN + timedelta(seconds=1))
    eventually(lambda: running.silent() == ["controller-cell"], SOON)
    lives_on(running)
    running.end()
    assert running.cell.stood_by.is_set()
    assert running.bank.holder("cell") is None


def test_a_read_that_hangs_is_named_and_costs_no_product_its_lease(running: RunningTrainer) -> None:
    running.broker.released.clear()
    running.thread.start()
    eventually(lambda: running.tile.turns > 2, SOON)
    running.health_clock.advance(LONGEST_READ + timedelta(seconds=1))
    eventually(lambda: running.silent() == ["inbox"], SOON)
    lives_on(running)
    running.broker.released.set()
    eventually(lambda: running.health.ready()[0], SOON)
