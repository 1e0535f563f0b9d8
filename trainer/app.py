"""Puts the trainer together; this is the one place that names concrete classes."""

import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from steadyline.bank.redis import RedisBank
from steadyline.clock import Clock
from steadyline.errors import InvalidConfiguration
from steadyline.folder_lock import FolderInUse, FolderLock
from steadyline.kafka.broker import Broker
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.kafka.model_events import EventSeal
from steadyline.line import Line
from steadyline.package import Packages
from steadyline.settings import KafkaSettings, RedisSettings, TritonSettings
from steadyline.store import Store
from steadyline.telemetry.health import ServiceHealth
from steadyline.triton import TritonClient
from trainer.cluster.job_template import read_template
from trainer.config import KubernetesSettings, TrainerSettings
from trainer.control.controller import ControllerDependencies, ProductController
from trainer.control.inbox import InboxDispatcher, ProductInbox, reservoir_rules
from trainer.control.label_keeper import LabelKeeper
from trainer.control.launch import Launcher
from trainer.control.station_calibration import StationCalibration
from trainer.control.station_following import StationFollowing
from trainer.control.training_process import ProcessLauncher
from trainer.control.training_supervisor import TrainingPlace, TrainingSupervisor
from trainer.data.banks import BankStore, HeldOutCache
from trainer.data.label_shelf import LabelShelf
from trainer.data.normals import collect, folder_files
from trainer.data.sampling_key import sampling_key
from trainer.data.station_pictures import StationPictures
from trainer.lifecycle.event_log import PATIENCE, EventLog
from trainer.lifecycle.leases import Leases
from trainer.lifecycle.product_state import ProductState
from trainer.lifecycle.promote import Promoter
from trainer.lifecycle.repository import ModelRepository, verify_repository
from trainer.lifecycle.rollout import Rollout
from trainer.monitor.bank_rebuild import BankRebuildProcess
from trainer.monitor.monitor import ModelMonitor, MonitorInputs
from trainer.monitor.native_rounds import NativeRounds
from trainer.service import Trainer

ANSWER_GRACE = timedelta(seconds=10)  # after Triton's own deadline, before an answer counts as lost


@dataclass(frozen=True, slots=True)
class TrainerDependencies:
    """Everything that is read before a connection or a file is opened."""

    line: Line
    line_file: Path
    settings: TrainerSettings
    kafka: KafkaSettings
    redis: RedisSettings
    triton: TritonSettings
    kubernetes: KubernetesSettings
    seal: EventSeal
    clock: Clock


@dataclass(frozen=True, slots=True)
class _Connections:
    """The connections that all products share."""

    store: Store
    bank: RedisBank
    triton: TritonClient
    promoter: Promoter
    broker: Broker
    leases: Leases
    launcher: Launcher


@contextmanager
def build(dependencies: TrainerDependencies, health: ServiceHealth) -> Iterator[Trainer]:
    """Yield the service; raises InvalidConfiguration for a fault that no waiting can mend."""
    verify(dependencies)
    line, clock = dependencies.line, dependencies.clock
    with ExitStack() as stack:
        owner = stack.enter_context(held_work_folder(dependencies.settings.work))
        store = Store(line.store, may_be_clear=line.store_in_clear)
        bank = RedisBank(dependencies.redis, line.line)
        stack.callback(bank.close)
        triton = TritonClient(dependencies.triton)
        stack.callback(triton.close)
        broker = KafkaBroker(dependencies.kafka, f"trainer-{os.getpid()}")
        stack.callback(broker.close)
        leases = Leases(bank, line.products, owner, clock)
        repository = ModelRepository(Path(dependencies.triton.repository or ""), leases.token_above)
        promoter = Promoter(
            repository, triton, dependencies.settings.load_deadline(), dependencies.settings.serving()
        )
        launcher = _launcher(stack, dependencies)
        opened = _Connections(store, bank, triton, promoter, broker, leases, launcher)
        key = sampling_key(dependencies.settings.work)
        inboxes = {
            name: ProductInbox(name, reservoir_rules(line, name, key, store)) for name in line.products
        }
        controllers = [
            _controller(
                dependencies, opened, name, inboxes[name], _event_log(stack, broker, name, dependencies)
            )
            for name in line.products
        ]
        dispatcher = InboxDispatcher(broker, line, inboxes, dependencies.seal, clock)
        stack.callback(dispatcher.close)
        yield Trainer(controllers, dispatcher, leases, health, clock)


def verify(dependencies: TrainerDependencies) -> None:
    """Raise InvalidConfiguration when folders are missing, so that it is said before readiness and not hours
    later.
    """
    if dependencies.triton.repository is None:
        raise InvalidConfiguration("TRITON_REPOSITORY is not set: the trainer writes model versions there")
    verify_repository(Path(dependencies.triton.repository))
    for product in dependencies.line.products.values():
        if product.normals is not None:
            folder_files(Path(product.normals))


@contextmanager
def held_work_folder(work: Path) -> Iterator[str]:
    """Yield this trainer's name, which is kept in its folder: a restarted trainer takes its own leases up at
    once.

    Raises InvalidConfiguration when another process uses the folder.
    """
    lock = FolderLock(work, "owner")
    try:
        lock.take()
    except FolderInUse as error:
        raise InvalidConfiguration(f"another trainer uses TRAINER_WORK={work}") from error
    except OSError as error:
        raise InvalidConfiguration(f"TRAINER_WORK={work} cannot be used: {error.strerror}") from error
    try:
        if not lock.read():
            lock.keep(f"trainer-{uuid.uuid4().hex[:12]}")
        yield lock.read()
    finally:
        lock.release()


def _launcher(stack: ExitStack, dependencies: TrainerDependencies) -> Launcher:
    """Return how trainings are started; raises InvalidConfiguration, or Transient when the API server is
    away.
    """
    settings = dependencies.settings
    if settings.launcher == "process" or settings.job_template is None:
        return ProcessLauncher(dependencies.line_file)
    # The client of Kubernetes takes seconds to import and 30 MB to hold.
    from trainer.cluster.client import TrainingCluster
    from trainer.cluster.launcher import JobLauncher, JobWatch, owned

    template = read_template(settings.job_template)
    cluster = TrainingCluster(dependencies.kubernetes, template.namespace)
    stack.callback(cluster.close)
    if settings.pod is not None:
        template = owned(template, cluster, settings.pod)
    return JobLauncher(JobWatch(cluster, template, settings.start_deadline(), dependencies.clock))


def _event_log(stack: ExitStack, broker: Broker, product: str, dependencies: TrainerDependencies) -> EventLog:
    client, topic = f"trainer-{product}", dependencies.line.kafka_topics().model_events.name
    publisher = broker.publisher(client, patience=PATIENCE)
    stack.callback(publisher.close)
    event_log = EventLog(
        publisher,
        lambda: broker.follower(client, [topic]),
        topic,
        dependencies.seal,
        dependencies.clock,
    )
    stack.callback(event_log.close)
    return event_log


def _controller(
    dependencies: TrainerDependencies,
    opened: _Connections,
    name: str,
    inbox: ProductInbox,
    event_log: EventLog,
) -> ProductController:
    line, clock, product = dependencies.line, dependencies.clock, dependencies.line.products[name]
    state = ProductState(name, event_log, opened.leases, clock)
    settings = dependencies.settings
    place = TrainingPlace(opened.launcher, settings.work, settings.seed, settings.longest_training())
    packages = Packages(opened.store, line.line, trusted=dependencies.seal.trusted)
    rollout = Rollout(state, product.gate, packages, opened.promoter, clock)
    inputs = MonitorInputs(
        HeldOutCache(opened.bank, BankStore(opened.store, line.line), name),
        NativeRounds(BankStore(opened.store, line.line), name, clock, product.gate.accept_blind),
        opened.triton,
        timedelta(seconds=dependencies.triton.timeout_seconds) + ANSWER_GRACE,
    )
    monitor = ModelMonitor(
        state, product.watch, inputs, BankRebuildProcess(dependencies.line_file, name), clock
    )
    pictures = StationPictures(opened.store, line.line, name, product.picture)
    cameras = (
        frozenset(camera.id for camera in line.cameras if camera.product == name) if line.cameras else None
    )
    controller_dependencies = ControllerDependencies(
        opened.leases,
        rollout,
        monitor,
        lambda box: collect(product, box.normals(), opened.store),
        clock,
        LabelKeeper(LabelShelf(opened.store, dependencies.seal, name, product.picture.max_bytes), clock),
        StationCalibration(state, pictures, monitor, cameras, clock),
        StationFollowing(state, monitor, product.watch, clock),
    )
    return ProductController(
        product,
        state,
        inbox,
        TrainingSupervisor(state, product, BankStore(opened.store, line.line), place, clock),
        controller_dependencies,
    )
