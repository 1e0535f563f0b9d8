"""Puts the trainer together; this is the one place that names concrete classes."""

import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from steadyline.bank.redis import RedisBank
from steadyline.clock import Clock
from steadyline.errors import InvalidConfiguration
from steadyline.folder_lock import FolderInUse, FolderLock
from steadyline.kafka.broker import Broker, Publisher, Reader
from steadyline.kafka.client import KafkaBroker
from steadyline.line import Line
from steadyline.settings import KafkaSettings, RedisSettings, TritonSettings
from steadyline.store import Store
from steadyline.telemetry.health import ServiceHealth
from steadyline.triton import TritonClient
from trainer.config import TrainerSettings
from trainer.control.controller import ControllerDependencies, ProductController
from trainer.control.inbox import InboxDispatcher, ProductInbox
from trainer.control.training_supervisor import TrainingSupervisor, WorkDirectories
from trainer.data.banks import HeldOutCache
from trainer.data.normals import collect, folder_files
from trainer.lifecycle.event_log import PATIENCE, EventLog
from trainer.lifecycle.leases import Leases
from trainer.lifecycle.product_state import ProductState
from trainer.lifecycle.promote import Promoter
from trainer.lifecycle.repository import ModelRepository
from trainer.lifecycle.rollout import Rollout
from trainer.monitor.bank_rebuild import BankRebuildProcess
from trainer.monitor.monitor import ModelMonitor, MonitorInputs
from trainer.service import Trainer


@dataclass(frozen=True, slots=True)
class TrainerDependencies:
    """Everything that is read before a connection or a file is opened."""

    line: Line
    line_file: Path
    settings: TrainerSettings
    kafka: KafkaSettings
    redis: RedisSettings
    triton: TritonSettings
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


@contextmanager
def build(dependencies: TrainerDependencies, health: ServiceHealth) -> Iterator[Trainer]:
    """Yield the service; raises InvalidConfiguration for a fault that no waiting can mend."""
    verify(dependencies)
    line, clock = dependencies.line, dependencies.clock
    with ExitStack() as stack:
        owner = stack.enter_context(held_work_folder(dependencies.settings.work))
        store = Store(line.store)
        bank = RedisBank(dependencies.redis)
        stack.callback(bank.close)
        triton = TritonClient(dependencies.triton)
        stack.callback(triton.close)
        broker = KafkaBroker(dependencies.kafka, f"trainer-{os.getpid()}")
        stack.callback(broker.close)
        leases = Leases(bank, line.products, owner, clock)
        repository = ModelRepository(Path(dependencies.triton.repository or ""))
        promoter = Promoter(repository, triton, dependencies.settings.load_deadline())
        opened = _Connections(store, bank, triton, promoter, broker, leases)
        inboxes = {name: ProductInbox(name, product.retrain) for name, product in line.products.items()}
        controllers = [
            _controller(dependencies, opened, name, inboxes[name], _connections(stack, broker, name))
            for name in line.products
        ]
        dispatcher = InboxDispatcher(broker, line.kafka_topics(), inboxes, clock)
        stack.callback(dispatcher.close)
        yield Trainer(controllers, dispatcher, leases, health, clock)


def verify(dependencies: TrainerDependencies) -> None:
    """Raise InvalidConfiguration when folders are missing, so that it is said before readiness and not hours
    later.
    """
    if dependencies.triton.repository is None:
        raise InvalidConfiguration("TRITON_REPOSITORY is not set: the trainer writes model versions there")
    ModelRepository(Path(dependencies.triton.repository)).verify()
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


def _connections(stack: ExitStack, broker: Broker, product: str) -> tuple[Publisher, Reader]:
    publisher = broker.publisher(f"trainer-{product}", patience=PATIENCE)
    stack.callback(publisher.close)
    reader = broker.reader(f"trainer-{product}")
    stack.callback(reader.close)
    return publisher, reader


def _controller(
    dependencies: TrainerDependencies,
    opened: _Connections,
    name: str,
    inbox: ProductInbox,
    kafka: tuple[Publisher, Reader],
) -> ProductController:
    line, clock, product = dependencies.line, dependencies.clock, dependencies.line.products[name]
    event_log = EventLog(*kafka, line.kafka_topics().model_events.name, line.line)
    state = ProductState(name, event_log, opened.leases, clock)
    directories = WorkDirectories(
        dependencies.line_file, dependencies.settings.work, dependencies.settings.seed
    )
    rollout = Rollout(state, product.gate, opened.store, opened.promoter, clock)
    inputs = MonitorInputs(HeldOutCache(opened.bank, opened.store, name), opened.triton)
    controller_dependencies = ControllerDependencies(
        opened.leases,
        rollout,
        ModelMonitor(state, product.watch, inputs, BankRebuildProcess(dependencies.line_file, name), clock),
        lambda box: collect(product, box.normals(), opened.store),
        clock,
    )
    return ProductController(
        product,
        state,
        inbox,
        TrainingSupervisor(name, product, opened.store, directories, clock),
        controller_dependencies,
    )
