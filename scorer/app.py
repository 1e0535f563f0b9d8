"""Puts the scorer together; this is the one place that names concrete classes."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from scorer import metrics
from scorer.batching import Batcher, BatchPolicy
from scorer.config import ScorerSettings
from scorer.evidence import EvidenceWriter
from scorer.handler import InFlightLimit, ScoringHandler, ThreadPools
from scorer.lag import LagMeter
from scorer.model_slot import Slots, empty_slots
from scorer.model_updater import MODEL_UPDATER, ModelUpdater, ModelUpdaterPolicy
from scorer.postprocess import EvidenceQueue, Postprocessor, ScoreSink
from scorer.preprocess import Preprocessor
from scorer.service import Scorer
from scorer.verify import verify_store, verify_topics
from steadyline.backoff import Backoff
from steadyline.clock import Clock
from steadyline.inference import Inference
from steadyline.kafka.broker import Broker, Follower
from steadyline.kafka.loop.dlq_limit import StormLimit
from steadyline.kafka.loop.refused_records import DeadLetterPolicy
from steadyline.kafka.loop.stream_loop import LoopPolicy, StreamLoop
from steadyline.kafka.model_events import EventSeal
from steadyline.kafka.shared_prefix import say_shared_prefix
from steadyline.line import Line
from steadyline.settings import TritonSettings
from steadyline.store import Store
from steadyline.telemetry.health import ServiceHealth
from steadyline.triton import TritonClient

ANSWER_GRACE_SECONDS = 10.0  # after Triton's own deadline, before a request counts as lost


@dataclass(frozen=True, slots=True)
class ScorerDependencies:
    """Everything that is read before a connection is opened."""

    line: Line
    settings: ScorerSettings
    triton: TritonSettings
    seal: EventSeal
    clock: Clock


@contextmanager
def build(dependencies: ScorerDependencies, broker: Broker, health: ServiceHealth) -> Iterator[Scorer]:
    """Yield the verified scorer.

    Raises InvalidConfiguration, BrokerUnavailable, InferenceUnavailable or StoreUnavailable when something it
    needs is missing, so that it is said at start and not at the first frame.
    """
    line, settings, clock = dependencies.line, dependencies.settings, dependencies.clock
    topics, within = line.kafka_topics(), timedelta(seconds=settings.store_seconds)
    store = Store(line.store, within, line.store_in_clear)
    health.set_ready("start", False, "verifying topics, Triton and the store")
    with ExitStack() as stack:
        verify_topics(broker, topics)
        say_shared_prefix(broker, topics, line.line, clock)
        triton = TritonClient(dependencies.triton)
        stack.callback(triton.close)
        triton.verify()  # the model updater checks the models
        verify_store(store, line.line, settings.instance)

        for name, product in line.products.items():
            metrics.PROMISED.set(product.false_alarm_rate, product=name)
        slots = empty_slots(line.products)
        pools = ThreadPools.of(settings.decoders)
        stack.callback(pools.close)
        evidence = EvidenceWriter(
            store, line.line, broker.topic_ids([topics.frames.name])[topics.frames.name]
        )
        handler = make_handler(dependencies, slots, triton, evidence, pools)
        updater = ModelUpdater(slots, triton, _keeping(settings), health, clock)
        events = topics.model_events.name
        group = group_of(dependencies)
        meter = LagMeter(broker, group, topics.frames.name, timedelta(seconds=settings.lag_seconds), clock)
        worker = broker.worker(group, settings.instance, [topics.frames.name])
        stack.callback(worker.close)
        policy = _looping(settings, topics.dead_letters.name)

        def follow() -> Follower:
            return broker.follower(f"scorer-{settings.instance}", [events])

        beside = {
            MODEL_UPDATER: lambda stop: updater.run(follow, events, dependencies.seal, stop),
            "lag": lambda stop: meter.run(stop, partial(health.beat, "lag")),
        }

        def loop(on_turn: Callable[[], None]) -> StreamLoop:
            return StreamLoop(worker, handler, policy, clock, on_turn)

        yield Scorer(loop, handler, beside, health, clock)


def group_of(dependencies: ScorerDependencies) -> str:
    """Return the consumer group's name."""
    return dependencies.settings.group or f"{dependencies.line.topics.prefix}.scorer"


def make_handler(
    dependencies: ScorerDependencies,
    slots: Slots,
    inference: Inference,
    evidence: EvidenceWriter,
    pools: ThreadPools,
) -> ScoringHandler:
    """Return the handler of all products of the line."""
    line, settings, clock = dependencies.line, dependencies.settings, dependencies.clock
    samples = {name: product.evidence_sample for name, product in line.products.items()}
    sink = ScoreSink(line.line, line.kafka_topics().scores.name, samples)
    backoff = Backoff.of_seconds(settings.retry_seconds, settings.retry_longest_seconds)
    policy = BatchPolicy(
        settings.max_batch,
        settings.in_flight,
        settings.retry_seconds,
        settings.retry_longest_seconds,
        answer_seconds=dependencies.triton.timeout_seconds + ANSWER_GRACE_SECONDS,
    )
    limit = InFlightLimit(settings.in_hand_frames, settings.in_hand_bytes)
    # The stages are made from the last to the first, because each is given the next.
    keeping = EvidenceQueue(evidence, backoff, clock, pools.keeping)
    postprocessor = Postprocessor(sink, keeping, clock, pools.finishing)
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
