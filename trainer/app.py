"""What the trainer is made of: the one place that names concrete classes."""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from steadyline.bank.redis import RedisBank
from steadyline.clock import Clock
from steadyline.errors import InvalidConfiguration
from steadyline.kafka.broker import Broker, Publisher, Reader
from steadyline.kafka.client import KafkaBroker
from steadyline.line import Line
from steadyline.settings import KafkaSettings, RedisSettings, TritonSettings
from steadyline.store import Store
from steadyline.telemetry.health import Health
from steadyline.triton import TritonClient
from trainer.config import TrainerSettings
from trainer.control.controller import Desk, Duties
from trainer.control.inbox import Inbox, Intake
from trainer.control.training_supervisor import Trainings, Workplace
from trainer.data.banks import KnownBanks
from trainer.data.normals import collect, folder_files
from trainer.lifecycle.event_log import PATIENCE, Announcer
from trainer.lifecycle.leases import Claims
from trainer.lifecycle.product_state import ProductState
from trainer.lifecycle.promote import Promoter
from trainer.lifecycle.repository import ModelRepository
from trainer.lifecycle.rollout import Rollout
from trainer.monitor.bank_rebuild import Rebuilding
from trainer.monitor.monitor import Eyes, Watcher
from trainer.service import Trainer


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything that was read before anything is opened."""

    line: Line
    line_file: Path
    settings: TrainerSettings
    kafka: KafkaSettings
    redis: RedisSettings
    triton: TritonSettings
    clock: Clock


@dataclass(frozen=True, slots=True)
class _Opened:
    """Connections that all products share."""

    store: Store
    bank: RedisBank
    triton: TritonClient
    promoter: Promoter
    broker: Broker
    claims: Claims


@contextmanager
def build(around: Surroundings, health: Health) -> Iterator[Trainer]:
    """Yield the service; raises InvalidConfiguration on what no waiting can mend."""
    verify(around)
    line, clock = around.line, around.clock
    with ExitStack() as stack:
        owner = stack.enter_context(claimed_workplace(around.settings.work))
        store = Store(line.store)
        bank = RedisBank(around.redis)
        stack.callback(bank.close)
        triton = TritonClient(around.triton)
        stack.callback(triton.close)
        broker = KafkaBroker(around.kafka, f"trainer-{os.getpid()}")
        stack.callback(broker.close)
        claims = Claims(bank, line.products, owner, clock)
        repository = ModelRepository(Path(around.triton.repository or ""))
        promoter = Promoter(repository, triton, around.settings.load_deadline())
        opened = _Opened(store, bank, triton, promoter, broker, claims)
        inboxes = {name: Inbox(name, product.retrain) for name, product in line.products.items()}
        desks = [
            _desk(around, opened, name, inboxes[name], _connections(stack, broker, name))
            for name in line.products
        ]
        reader = broker.reader("trainer-intake")
        stack.callback(reader.close)
        yield Trainer(desks, Intake(reader, line.kafka_topics(), inboxes), claims, health, clock)


def verify(around: Surroundings) -> None:
    """Raise InvalidConfiguration when folders are missing: said before readiness, not hours later."""
    if around.triton.repository is None:
        raise InvalidConfiguration("TRITON_REPOSITORY is not set: the trainer writes model versions there")
    ModelRepository(Path(around.triton.repository)).verify()
    for product in around.line.products.values():
        if product.normals is not None:
            folder_files(Path(product.normals))


@contextmanager
def claimed_workplace(work: Path) -> Iterator[str]:
    """Yield this trainer's name, kept in its folder so that a restarted one takes its own claims up at once.

    Raises InvalidConfiguration when another process uses the folder.
    """
    try:
        work.mkdir(parents=True, exist_ok=True)
        lock = (work / "owner").open("a+", encoding="utf-8")
    except OSError as error:
        raise InvalidConfiguration(f"TRAINER_WORK={work} cannot be used: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InvalidConfiguration(f"another trainer uses TRAINER_WORK={work}") from error
        lock.seek(0)
        name = lock.read().strip()
        if not name:
            name = f"trainer-{uuid.uuid4().hex[:12]}"
            lock.write(name)
            lock.flush()
        yield name


def _connections(stack: ExitStack, broker: Broker, product: str) -> tuple[Publisher, Reader]:
    publisher = broker.publisher(f"trainer-{product}", patience=PATIENCE)
    stack.callback(publisher.close)
    reader = broker.reader(f"trainer-{product}")
    stack.callback(reader.close)
    return publisher, reader


def _desk(
    around: Surroundings, opened: _Opened, name: str, inbox: Inbox, kafka: tuple[Publisher, Reader]
) -> Desk:
    line, clock, product = around.line, around.clock, around.line.products[name]
    announcer = Announcer(*kafka, line.kafka_topics().model_events.name, line.line)
    state = ProductState(name, announcer, opened.claims, clock)
    place = Workplace(around.line_file, around.settings.work, around.settings.seed)
    rollout = Rollout(state, product.gate, opened.store, opened.promoter, clock)
    eyes = Eyes(KnownBanks(opened.bank, opened.store, name), opened.triton)
    duties = Duties(
        opened.claims,
        rollout,
        Watcher(state, product.watch, eyes, Rebuilding(around.line_file, name), clock),
        lambda box: collect(product, box.normals(), opened.store),
        clock,
    )
    return Desk(product, state, inbox, Trainings(name, product, opened.store, place, clock), duties)
