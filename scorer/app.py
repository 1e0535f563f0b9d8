"""What the scorer is made of: the one place that names concrete classes."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta

from scorer.batching import Batcher, BatchPolicy, Ways
from scorer.config import ScorerSettings
from scorer.handler import Pools, Room, Scoring
from scorer.lag import LagMeter
from scorer.model_slot import Slots, empty_slots
from scorer.model_updater import Keeper, KeeperPolicy
from scorer.postprocess import Addressed, Finisher
from scorer.preprocess import Preparer
from scorer.service import Scorer
from scorer.verify import verify_store, verify_topics, verify_triton
from steadyline.backoff import Backoff
from steadyline.clock import Clock
from steadyline.inference import Inference
from steadyline.kafka.broker import Broker
from steadyline.kafka.dlq_limit import StormLimit
from steadyline.kafka.loop import LoopPolicy, StreamLoop
from steadyline.line import Line
from steadyline.settings import TritonSettings
from steadyline.store import Store
from steadyline.telemetry.health import Health
from steadyline.triton import TritonClient


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything that was read before anything is opened."""

    line: Line
    settings: ScorerSettings
    triton: TritonSettings
    clock: Clock


@contextmanager
def build(around: Surroundings, broker: Broker, health: Health) -> Iterator[Scorer]:
    """Yield the verified scorer.

    Raises InvalidConfiguration, BrokerUnavailable, InferenceUnavailable or StoreUnavailable when something
    it needs is not there: said at start, not at the first frame.
    """
    line, settings, clock = around.line, around.settings, around.clock
    topics, store = line.kafka_topics(), Store(line.store)
    health.set_ready("start", False, "verifying topics, Triton and the store")
    with ExitStack() as stack:
        verify_topics(broker, topics)
        triton = TritonClient(around.triton)
        stack.callback(triton.close)
        verify_triton(triton, around.triton.url)
        verify_store(store, settings.instance)

        slots = empty_slots(line.products)
        pools = Pools.of(settings.decoders)
        stack.callback(pools.close)
        handler = make_handler(around, slots, triton, store, pools)
        keeper = Keeper(slots, triton, _keeping(settings), health, clock)
        reader = broker.reader(f"scorer-{settings.instance}")
        stack.callback(reader.close)
        group = group_of(around)
        meter = LagMeter(broker, group, topics.frames.name, timedelta(seconds=settings.lag_seconds), clock)
        worker = broker.worker(group, settings.instance, [topics.frames.name])
        stack.callback(worker.close)
        loop = StreamLoop(worker, handler, topics.dead_letters.name, _looping(settings), clock)
        beside = {
            "keeper": lambda stop: keeper.run(reader, topics.model_events.name, stop),
            "lag": meter.run,
        }
        yield Scorer(loop, handler, beside, health)


def group_of(around: Surroundings) -> str:
    """Return the consumer group's name."""
    return around.settings.group or f"{around.line.topics.prefix}.scorer"


def make_handler(
    around: Surroundings, slots: Slots, inference: Inference, store: Store, pools: Pools
) -> Scoring:
    """Return the handler of all products of the line."""
    line, settings, clock = around.line, around.settings, around.clock
    samples = {name: product.evidence_sample for name, product in line.products.items()}
    addressed = Addressed(line.line, line.kafka_topics().scores.name, samples)
    backoff = Backoff.of_seconds(settings.retry_seconds, settings.retry_longest_seconds)
    finisher = Finisher(addressed, store, backoff, clock)
    room = Room(settings.in_hand_frames, settings.in_hand_bytes)
    handler = Scoring(line, Preparer(line, slots, clock), finisher, pools, room)
    policy = BatchPolicy(
        settings.max_batch, settings.in_flight, settings.retry_seconds, settings.retry_longest_seconds
    )

    def make(product: str, ways: Ways) -> Batcher:
        return Batcher(slots[product], inference, ways, policy, clock)

    handler.connect(make)
    return handler


def _keeping(settings: ScorerSettings) -> KeeperPolicy:
    return KeeperPolicy(settings.canary_seconds, settings.retry_seconds, settings.retry_longest_seconds)


def _looping(settings: ScorerSettings) -> LoopPolicy:
    return LoopPolicy(
        commit_every=timedelta(seconds=settings.commit_seconds),
        drain=timedelta(seconds=settings.stop_seconds),
        storm=StormLimit(settings.storm_fraction, settings.storm_frames),
    )
