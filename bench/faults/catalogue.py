"""The faults: each begins, lasts for a while, and is taken back, but for what a supervisor mends."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from functools import partial

import psutil
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import NewPartitions

from bench.faults.disturbed import Disturbance
from bench.faults.line import PARTITIONS, PRODUCT, FaultLine
from bench.faults.proxy import NEVER
from steadyline.servers.procfs import session_members
from steadyline.servers.stack import ServerName

Act = Callable[[FaultLine], AbstractContextManager[None]]
DOWN_SECONDS, FROZEN_SECONDS, SLOW_SECONDS = 5.0, 30.0, 25.0
ANSWER_SECONDS = 5.0
HOUR = 3600.0
CHILD_WITHIN = 60.0
STUB = "triton_python_backend_stub"


@dataclass(frozen=True, slots=True)
class Fault:
    """``act`` begins the fault on entry and takes it back on exit, after ``seconds``.

    ``is_disturbed`` says that the services run with a clock and a store that can be changed. ``is_loss`` says
    that the fault itself deletes frames, which the audit then names as missing.
    """

    name: str
    act: Act
    seconds: float = DOWN_SECONDS
    is_disturbed: bool = False
    is_loss: bool = False


@contextmanager
def _kill(line: FaultLine, service: str) -> Iterator[None]:
    line.services[service].kill()
    yield


@contextmanager
def _freeze(line: FaultLine, service: str) -> Iterator[None]:
    line.services[service].freeze()
    yield
    line.services[service].thaw()


@contextmanager
def _kill_server(line: FaultLine, name: ServerName) -> Iterator[None]:
    server = line.bench.stack.servers[name]
    server.kill9()
    yield
    server.start()


@contextmanager
def _freeze_server(line: FaultLine, name: ServerName) -> Iterator[None]:
    server = line.bench.stack.servers[name]
    server.suspend()
    yield
    server.resume()


def _stubs(line: FaultLine) -> list[int]:
    """Return the processes of Triton that hold models."""
    found = []
    for pid in session_members(line.bench.stack.triton.pid):
        try:
            if STUB in " ".join(psutil.Process(pid).cmdline()):
                found.append(pid)
        except psutil.Error:
            continue
    return found


@contextmanager
def _signal_stubs(line: FaultLine, first: int, last: int) -> Iterator[None]:
    stubs = _stubs(line)
    assert stubs, "Triton has no process of a model"
    for pid in stubs:
        os.kill(pid, first)
    yield
    for pid in stubs:
        if last and psutil.pid_exists(pid):
            os.kill(pid, last)


@contextmanager
def _signal_child(line: FaultLine, first: int, last: int) -> Iterator[None]:
    """Order a training, and send a signal to its process."""
    begun = line.services["trainer"].log_size()
    line.order("retrain", PRODUCT)

    def pids() -> list[int]:
        rows = line.services["trainer"].said(begun)
        return [int(str(row["training"])) for row in rows if row.get("event") == "training_started"]

    line.wait(lambda: bool(pids()), CHILD_WITHIN, "a training")
    pid = pids()[-1]
    time.sleep(DOWN_SECONDS)  # it has loaded torch and trains
    os.kill(pid, first)
    yield
    if last and psutil.pid_exists(pid):
        os.kill(pid, last)


@contextmanager
def _full(line: FaultLine, name: str) -> Iterator[None]:
    line.bench.disks[name].fill()
    yield
    line.bench.disks[name].free()


@contextmanager
def _full_broker(line: FaultLine) -> Iterator[None]:
    """Fill the broker's disk; a broker that ended over it is started again when there is room."""
    with _full(line, "kafka"):
        yield
    if not line.bench.stack.kafka.is_alive:
        line.bench.stack.kafka.start()


@contextmanager
def _full_spool(line: FaultLine) -> Iterator[None]:
    """Fill the disk of the spool while the broker is away and frames must be spooled."""
    with _kill_server(line, "kafka"), _full(line, "spool"):
        yield


@contextmanager
def _answers(line: FaultLine, server: str, seconds: float) -> Iterator[None]:
    proxy = line.bench.redis if server == "redis" else line.bench.triton
    proxy.seconds = seconds
    yield
    proxy.seconds = 0.0


@contextmanager
def _disturb(line: FaultLine, disturbance: Disturbance) -> Iterator[None]:
    line.disturb(disturbance)
    yield
    line.disturb(Disturbance())


@contextmanager
def _admin(line: FaultLine) -> Iterator[KafkaAdminClient]:
    with closing(KafkaAdminClient(bootstrap_servers=line.bench.addresses.kafka_bootstrap)) as admin:
        yield admin


@contextmanager
def _retention(line: FaultLine) -> Iterator[None]:
    """Hold the scorers, let the broker delete what they have not read, and let them go on."""
    for scorer in ("scorer-a", "scorer-b"):
        line.services[scorer].freeze()
    time.sleep(DOWN_SECONDS)
    ends = line.broker.end_offsets([line.topics.frames.name])
    with _admin(line) as admin:
        admin.delete_records({TopicPartition(place.topic, place.number): end for place, end in ends.items()})
    for scorer in ("scorer-a", "scorer-b"):
        line.services[scorer].thaw()
    yield


@contextmanager
def _made_anew(line: FaultLine) -> Iterator[None]:
    """Delete the frames topic and create it again, as an operator does who wants it empty."""
    name = line.topics.frames.name
    with _admin(line) as admin:
        admin.delete_topics([name])
    line.wait(lambda: name not in line.broker.describe_topics([name]), CHILD_WITHIN, "the topic is gone")
    yield
    line.steadyline("topics", "create")


@contextmanager
def _partitions(line: FaultLine) -> Iterator[None]:
    """Double the partitions of the frames topic, then let the line file say so, and restart what runs."""
    with _admin(line) as admin:
        admin.create_partitions({line.topics.frames.name: NewPartitions(2 * PARTITIONS)})
    yield
    line.write(2 * PARTITIONS)
    line.steadyline("topics", "create", "--mend")
    for service in line.services.values():
        service.kill()


def _of_processes() -> list[Fault]:
    """Return kill -9 of each process, and SIGSTOP for half a minute."""
    services = ("producers", "scorer-a", "trainer")
    servers: Mapping[str, ServerName] = {"the broker": "kafka", "Triton": "triton", "Redis": "redis"}
    parts = {"Triton's model process": _signal_stubs, "a training": _signal_child}
    kills: dict[str, Act] = {
        **{name: partial(_kill, service=name) for name in services},
        **{name: partial(_kill_server, name=server) for name, server in servers.items()},
        **{name: partial(send, first=signal.SIGKILL, last=0) for name, send in parts.items()},
    }
    stops: dict[str, Act] = {
        **{name: partial(_freeze, service=name) for name in services},
        **{name: partial(_freeze_server, name=server) for name, server in servers.items()},
        **{name: partial(send, first=signal.SIGSTOP, last=signal.SIGCONT) for name, send in parts.items()},
    }
    found = [Fault(f"kill -9 of {name}", act) for name, act in kills.items()]
    return found + [Fault(f"SIGSTOP of {name} for 30 s", act, FROZEN_SECONDS) for name, act in stops.items()]


def _of_servers() -> list[Fault]:
    found = [
        Fault("disk of the store full", partial(_full, name="store"), SLOW_SECONDS),
        Fault("disk of the broker full", _full_broker, 15.0),
        Fault("disk of the spool full, broker away", _full_spool, 15.0),
    ]
    for name in ("redis", "triton"):
        slow, hanging = (
            partial(_answers, server=name, seconds=seconds) for seconds in (ANSWER_SECONDS, NEVER)
        )
        found.append(Fault(f"{name} answers after 5 s", slow, SLOW_SECONDS))
        found.append(Fault(f"{name} hangs", hanging, SLOW_SECONDS))
    for what, disturbance in (
        ("store answers after 5 s", Disturbance(store=ANSWER_SECONDS)),
        ("store hangs", Disturbance(store=1e9)),
        ("clock 1 h ahead", Disturbance(clock=HOUR)),
        ("clock 1 h behind", Disturbance(clock=-HOUR)),
    ):
        found.append(Fault(what, partial(_disturb, disturbance=disturbance), SLOW_SECONDS, is_disturbed=True))
    return found


FAULTS: tuple[Fault, ...] = (
    *_of_processes(),
    *_of_servers(),
    Fault("retention passed the scorers", _retention, is_loss=True),
    Fault("frames topic made anew", _made_anew, is_loss=True),
    Fault("partitions of the frames topic doubled", _partitions, 15.0),
)
