"""Each task of a scorer beats for itself, so that one that hangs is named while the loop turns."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

from typing_extensions import override

from scorer.lag import LagMeter
from scorer.model_slot import empty_slots
from scorer.model_updater import MODEL_UPDATER, ModelUpdater, ModelUpdaterPolicy
from scorer.service import Scorer
from steadyline.clock import ManualClock
from steadyline.kafka.broker import Partition
from steadyline.kafka.loop.refused_records import DeadLetterPolicy
from steadyline.kafka.loop.stream_loop import LoopPolicy, StreamLoop
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.service import Task
from steadyline.telemetry.health import ServiceHealth
from tests.support.bench_top import BenchTop
from tests.support.eventually import eventually
from tests.support.inference import MemoryInference


class StuckBroker(MemoryBroker):
    """A broker whose administration never answers until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.released = threading.Event(), threading.Event()

    @override
    def committed_offsets(self, group: str) -> dict[Partition, int]:
        self.asked.set()
        self.released.wait()
        return super().committed_offsets(group)


@contextmanager
def running_scorer(
    top: BenchTop, broker: MemoryBroker, beside: Mapping[str, Task]
) -> Iterator[ServiceHealth]:
    """Run a scorer on the top's clock, and yield its health."""
    health, stop = ServiceHealth(top.clock), threading.Event()
    topics = top.line.kafka_topics()
    policy = LoopPolicy(DeadLetterPolicy(topics.dead_letters.name))
    worker = broker.worker("scorer", "a", [topics.frames.name])

    def loop(on_turn: Callable[[], None]) -> StreamLoop:
        return StreamLoop(worker, top.handler, policy, top.clock, on_turn)

    running = threading.Thread(
        target=Scorer(loop, top.handler, beside, health, top.clock).run, args=(stop,), daemon=True
    )
    running.start()
    yield health
    stop.set()
    running.join(20)


def test_a_task_of_a_scorer_that_hangs_is_named_by_livez_while_the_loop_turns(top: BenchTop) -> None:
    broker = StuckBroker()
    topics = top.line.kafka_topics()
    broker.create_topics(list(topics))
    meter = LagMeter(broker, "scorer", topics.frames.name, timedelta(seconds=15), ManualClock())
    seen: list[ServiceHealth] = []

    def measure(ended: threading.Event) -> None:
        eventually(lambda: seen, 10)
        meter.run(ended, lambda within: seen[0].beat("lag", within))

    with running_scorer(top, broker, {"lag": measure}) as health:
        seen.append(health)
        assert broker.asked.wait(10)
        assert health.live()[0]
        for _ in range(4):
            top.clock.advance(timedelta(seconds=20))
            health.beat()
        eventually(lambda: health.live()[1]["silent"] == ["lag"], 10)
        broker.released.set()


def test_a_broker_that_is_away_for_long_is_not_ready_and_is_again_when_it_is_back(top: BenchTop) -> None:
    broker = MemoryBroker()
    broker.create_topics(list(top.line.kafka_topics()))
    with running_scorer(top, broker, {}) as health:
        eventually(lambda: health.ready()[0], 10)
        broker.set_away(True)
        eventually(lambda: health.ready()[1]["waiting_for"] == {"broker": "broker_unavailable"}, 10)
        broker.set_away(False)
        eventually(lambda: health.ready()[0], 10)


def test_the_model_updater_beats_with_every_product() -> None:
    clock = ManualClock()
    health = ServiceHealth(clock)
    updater = ModelUpdater(empty_slots(["part"]), MemoryInference(), ModelUpdaterPolicy(), health, clock)
    updater.turn()
    clock.advance(timedelta(seconds=61))
    health.beat()
    assert health.live()[1]["silent"] == [MODEL_UPDATER]
    updater.turn()
    assert health.live()[0]
