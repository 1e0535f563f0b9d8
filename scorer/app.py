"""Puts the scorer together; this is the one place that names concrete classes."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta

from scorer.batching import Batcher, BatchPolicy
from scorer.config import ScorerSettings
from scorer.handler import InFlightLimit, ScoringHandler, ThreadPools
from scorer.lag import LagMeter
from scorer.model_slot import Slots, empty_slots
from scorer.model_updater import ModelUpdater, ModelUpdaterPolicy
from scorer.postprocess import Postprocessor, ScoreSink
from scorer.preprocess import Preprocessor
from scorer.service import Scorer
from scorer.verify import verify_store, verify_topics, verify_triton
from steadyline.backoff import Backoff
from steadyline.clock import Clock
from steadyline.inference import Inference
from steadyline.kafka.broker import Broker
from steadyline.kafka.loop.dlq_limit import StormLimit
from steadyline.kafka.loop.refused_records import DeadLetterPolicy
from steadyline.kafka.loop.stream_loop import LoopPolicy, StreamLoop
from steadyline.line import Line
from steadyline.settings import TritonSettings
from steadyline.store import Store
from steadyline.telemetry.health import ServiceHealth
from steadyline.triton import TritonClient


@dataclass(frozen=True, slots=True)
class ScorerDependencies:
    """Everything that is read before a connection is opened."""

    line: Line
    settings: ScorerSettings
    triton: TritonSettings
    clock: Clock


@contextmanager
def build(dependencies: ScorerDependencies, broker: Broker, health: ServiceHealth) -> Iterator[Scorer]:
    """Yield the verified scorer.

    Raises InvalidConfiguration, BrokerUnavailable, InferenceUnavailable or StoreUnavailable when something it
    needs is missing, so that it is said at start and not at the first frame.
    """
    line, settings, clock = dependencies.line, dependencies.settings, dependencies.clock
    topics, store = line.kafka_topics(), Store(line.store)
    health.set_ready("start", False, "verifying topics, Triton and the store")
    with ExitStack() as stack:
        verify_topics(broker, topics)
        triton = TritonClient(dependencies.triton)
        stack.callback(triton.close)
        verify_triton(triton, dependencies.triton.url)
        verify_store(store, settings.instance)

        slots = empty_slots(line.products)
        pools = ThreadPools.of(settings.decoders)
        stack.callback(pools.close)
        handler = make_handler(dependencies, slots, triton, store, pools)
        updater = ModelUpdater(slots, triton, _keeping(settings), health, clock)
        events = topics.model_events.name
        group = group_of(dependencies)
        meter = LagMeter(broker, group, topics.frames.name, timedelta(seconds=settings.lag_seconds), clock)
        worker = broker.worker(group, settings.instance, [topics.frames.name])
        stack.callback(worker.close)
        policy = _looping(settings, topics.dead_letters.name)
        beside = {
            "model-updater": lambda stop: updater.run(
                lambda: broker.follower(f"scorer-{settings.instance}", [events]), events, stop
            ),
            "lag": meter.run,
        }

        def loop(on_turn: Callable[[], None]) -> StreamLoop:
            return StreamLoop(worker, handler, policy, clock, on_turn)

        yield Scorer(loop, handler, beside, health)


def group_of(dependencies: ScorerDependencies) -> str:
    """Return the consumer group's name."""
    return dependencies.settings.group or f"{dependencies.line.topics.prefix}.scorer"


def make_handler(
    dependencies: ScorerDependencies, slots: Slots, inference: Inference, store: Store, pools: ThreadPools
) -> ScoringHandler:
    """Return the handler of all products of the line."""
    line, settings, clock = dependencies.line, dependencies.settings, dependencies.clock
    samples = {name: product.evidence_sample for name, product in line.products.items()}
    sink = ScoreSink(line.line, line.kafka_topics().scores.name, samples)
    backoff = Backoff.of_seconds(settings.retry_seconds, settings.retry_longest_seconds)
    policy = BatchPolicy(
        settings.max_batch, settings.in_flight, settings.retry_seconds, settings.retry_longest_seconds
    )
    limit = InFlightLimit(settings.in_hand_frames, settings.in_hand_bytes)
    # The stages are made from the last to the first, because each is given the next.
    postprocessor = Postprocessor(sink, store, backoff, clock, pools.finishing)
    batchers = {
        name: Batcher(slots[name], inference, postprocessor.put, policy, clock) for name in line.products
    }
    preprocessor = Preprocessor(line, slots, clock, pools.decoding, batchers)
    return ScoringHandler(line, preprocessor, batchers, postprocessor, limit)


def _keeping(settings: ScorerSettings) -> ModelUpdaterPolicy:
    return ModelUpdaterPolicy(settings.canary_seconds, settings.retry_seconds, settings.retry_longest_seconds)


def _looping(settings: ScorerSettings, dead_letters: str) -> LoopPolicy:
    return LoopPolicy(
        DeadLetterPolicy(dead_letters, StormLimit(settings.storm_fraction, settings.storm_frames)),
        commit_every=timedelta(seconds=settings.commit_seconds),
        drain=timedelta(seconds=settings.stop_seconds),
    )
