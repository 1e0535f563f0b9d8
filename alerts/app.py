"""Puts the service together; this is the one place that names concrete classes."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

from alerts.config import AlertsSettings
from alerts.database.changes import ChangeWriter
from alerts.database.connection import Database
from alerts.database.ingest import Ingest
from alerts.database.migration import migrate
from alerts.database.offset_store import OffsetStore
from alerts.database.rule_version_store import RuleVersionStore
from alerts.deliveries.outbox import DeliveryOutbox
from alerts.escalation.follower import EscalationFollower
from alerts.evidence import EvidenceReader
from alerts.incidents.limit import LimitState, admit
from alerts.incidents.rules import IncidentRules, RuleState
from alerts.intake.decode import RecordDecoder
from alerts.intake.handler import ObservationHandler
from alerts.intake.loop import IntakeLoop, IntakeParts, IntakePolicy
from alerts.intake.model_history import ModelHistory
from alerts.intake.progress import IntakeProgress
from alerts.intake.rewind import Rewind
from alerts.intake.timekeeper import TimeKeeper
from alerts.outward import AlertsDependencies, Outward, line_watch
from alerts.retention.kept import EvidenceNotes
from alerts.retention.task import Retention
from alerts.service import AlertsService, BesideTask
from alerts.verify import verify_topics
from alerts.windows.holds import WindowHolds
from steadyline.contracts.topics import Topics
from steadyline.kafka.broker import Broker, Worker
from steadyline.kafka.loop.dlq_limit import StormLimit
from steadyline.kafka.loop.refused_records import DeadLetterPolicy
from steadyline.kafka.shared_prefix import say_shared_prefix
from steadyline.rule_set import RuleSet
from steadyline.store import Store
from steadyline.telemetry.health import ServiceHealth

TIMEKEEPER, RETENTION = "timekeeper", "retention"

_EVIDENCE_WITHIN = timedelta(seconds=10)  # of somebody who looks at a picture


@contextmanager
def build(dependencies: AlertsDependencies, broker: Broker, health: ServiceHealth) -> Iterator[AlertsService]:
    """Yield the verified service, its database migrated.

    Raises InvalidConfiguration, BrokerUnavailable, StoreUnavailable or ContractBroken when something it needs
    is missing, so that it is said at start.
    """
    line, settings, clock = dependencies.line, dependencies.settings, dependencies.clock
    topics = line.kafka_topics()
    store = Store(line.store, _EVIDENCE_WITHIN, line.store_in_clear)
    health.set_ready("start", False, "verifying topics and the database")
    with ExitStack() as stack:
        verify_topics(broker, topics)
        say_shared_prefix(broker, topics, line.line, clock)
        database = open_database(settings)
        stack.callback(database.close)
        migrate(database)
        _note_rules(database, dependencies)
        give_up_after = timedelta(seconds=settings.delivery_deadline_seconds)
        holds = WindowHolds(timedelta(seconds=settings.notify_within_seconds))
        outbox, followers = DeliveryOutbox(give_up_after), (EscalationFollower(),)
        writer = ChangeWriter(outbox, partial(admit, line), LimitState(), holds, followers)

        read = read_topics(topics)
        worker = broker.worker(group_of(dependencies), settings.instance, read)
        stack.callback(worker.close)
        # The ids are asked for after the worker knows its topics: it ends when one is made anew later.
        offsets = OffsetStore(broker.topic_ids(read))
        ingest = Ingest(database, offsets, (IncidentRules(line), RuleState), writer, clock)
        progress = IntakeProgress(clock)
        parts = _parts(dependencies, broker, worker, ingest, progress)
        keeper = TimeKeeper(broker, read, ingest, progress, clock)
        every = timedelta(seconds=settings.elapse_seconds)

        def intake(on_turn: Callable[[], None]) -> IntakeLoop:
            return IntakeLoop(parts, _policy(settings, topics.dead_letters.name), clock, on_turn)

        evidence = EvidenceReader(store, line)
        ingest.also(EvidenceNotes(evidence).note)
        retention = Retention(database, store, line.alerts.retention, clock)
        watch = line_watch(dependencies, broker, database, ingest)
        outward = Outward(dependencies, broker, database, writer, evidence, watch)
        beside = {
            TIMEKEEPER: BesideTask(lambda stop: keeper.run(every, stop, partial(health.beat, TIMEKEEPER))),
            RETENTION: BesideTask(lambda stop: retention.run(stop, partial(health.beat, RETENTION))),
            **outward.tasks(stack, health),
        }
        yield AlertsService(intake, beside, health, clock)


def _note_rules(database: Database, dependencies: AlertsDependencies) -> None:
    """Note with which rules this process starts."""
    with database.transaction() as session:
        RuleVersionStore().note(session, RuleSet.of(dependencies.line), dependencies.clock.now())


def open_database(settings: AlertsSettings) -> Database:
    """Return the database; nothing is connected yet."""
    return Database(settings.database.get_secret_value())


def group_of(dependencies: AlertsDependencies) -> str:
    """Return the consumer group's name."""
    return dependencies.settings.group or f"{dependencies.line.topics.prefix}.alerts"


def read_topics(topics: Topics) -> list[str]:
    """Return the topics that the intake reads."""
    return [topics.scores.name, topics.camera_status.name, topics.model_events.name]


def _parts(
    dependencies: AlertsDependencies,
    broker: Broker,
    worker: Worker,
    ingest: Ingest[Any],
    progress: IntakeProgress,
) -> IntakeParts:
    history = ModelHistory(
        lambda: broker.reader(f"alerts-{dependencies.settings.instance}"), dependencies.seal
    )
    handler = ObservationHandler(
        dependencies.line.kafka_topics(), RecordDecoder(dependencies.line, dependencies.clock), history
    )
    rewind = Rewind(broker, group_of(dependencies), worker, ingest)
    return IntakeParts(worker, handler, ingest, rewind, progress)


def _policy(settings: AlertsSettings, dead_letters: str) -> IntakePolicy:
    return IntakePolicy(
        DeadLetterPolicy(dead_letters, StormLimit(settings.storm_fraction, settings.storm_messages)),
        store_every=timedelta(seconds=settings.store_seconds),
        commit_every=timedelta(seconds=settings.commit_seconds),
        retry=(settings.retry_seconds, settings.retry_longest_seconds),
        drain=timedelta(seconds=settings.stop_seconds),
    )
