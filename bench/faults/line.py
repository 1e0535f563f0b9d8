"""The bench of faults: servers behind proxies and on small disks, a trained product, and its lines."""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from bench.faults.disk import SmallDisk
from bench.faults.disturbed import Disturbance
from bench.faults.flow import FlowWatch
from bench.faults.proxy import Proxy
from bench.faults.service import SupervisedService
from bench.line.pictures import jpegs, write_folder
from producers.sources.address import SyntheticOptions
from producers.sources.synthetic import render
from steadyline.contracts.model_event import ModelEvent
from steadyline.errors import BrokerUnavailable
from steadyline.kafka.broker import Message, Record
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.line import load_line
from steadyline.ops.audit.gather import Scope, gather
from steadyline.ops.audit.report import Audit
from steadyline.picture import encode_png
from steadyline.servers import Addresses, LocalStack, StackPaths
from steadyline.settings import KafkaSettings

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = "part"
CAMERAS = {"east-1": "spool", "east-2": "drop_oldest"}
FPS = 10.0
SIDE, STEPS, NORMALS = 64, 50, 48
PARTITIONS = 2
LOOK_SECONDS = 0.2
TRAINED_WITHIN, STARTED_WITHIN = 600.0, 90.0
DISKS = {"kafka": 700, "store": 48, "spool": 16}  # MiB
ROOMY = {"kafka": 2000, "store": 2000, "spool": 200}  # MiB: an hour of evidence fills no disk


@dataclass
class FaultBench:
    """The servers, the small disks and the trained product that all lines of the bench share."""

    home: Path
    stack: LocalStack
    redis: Proxy
    triton: Proxy
    disks: dict[str, SmallDisk]
    trained: list[Record] = field(default_factory=list)

    @property
    def addresses(self) -> Addresses:
        """Where services find the servers: Redis and Triton behind their proxies."""
        own = self.stack.addresses
        return replace(own, redis_url=f"redis://{self.redis.address}/0", triton_grpc=self.triton.address)

    def train(self, versions: int) -> None:
        """Train the product on a line of its own, and keep what it said of its models."""
        with closing(FaultLine(self, "training")) as line:
            line.start("trainer")
            line.wait(partial(line.has_version, 1), TRAINED_WITHIN, "a first version")
            while (version := line.newest_version()) < versions:
                line.order("retrain", PRODUCT)
                line.wait(partial(line.has_version, version + 1), TRAINED_WITHIN, "another version")
            self.trained = line.read(line.topics.model_events.name)


@contextmanager
def fault_bench(home: Path, sizes: Mapping[str, int] = DISKS) -> Iterator[FaultBench]:
    """Start the servers in an empty ``home``; raises InvalidConfiguration where no disk can be mounted."""
    disks = {name: SmallDisk(home / folder) for name, folder in _FOLDERS.items()}
    with ExitStack() as cleanup:
        for disk in disks.values():
            disk.unmount()  # of a run that was killed
        shutil.rmtree(home, ignore_errors=True)
        for name, disk in disks.items():
            cleanup.callback(disk.unmount)
            disk.mount(sizes[name])
        stack = cleanup.enter_context(LocalStack(StackPaths.of_checkout(home / "servers", ROOT)))
        redis_address = stack.addresses.redis_url.removeprefix("redis://").split("/")[0]
        redis = cleanup.enter_context(Proxy(redis_address))
        triton = cleanup.enter_context(Proxy(stack.addresses.triton_grpc))
        write_folder(home / "pictures", jpegs(side=SIDE))
        write_normals(home / "normals")
        yield FaultBench(home, stack, redis, triton, disks)


_FOLDERS = {"kafka": "servers/kafka", "store": "store", "spool": "spool"}


def write_normals(folder: Path) -> None:
    """Write parts without a defect, in MVTec layout."""
    good = folder / "train" / "good"
    good.mkdir(parents=True)
    options = SyntheticOptions.model_validate({"size": SIDE, "defect_rate": 0.0})
    for number in range(NORMALS):
        (good / f"{number:03}.png").write_bytes(encode_png(render(options, 10_000 + number)))


class FaultLine:
    """One line with topics of its own, whose services are started again when they end."""

    replicas: ClassVar[str] = ""  # what its line file says of replicas

    def __init__(self, bench: FaultBench, name: str, is_disturbed: bool = False) -> None:
        """Make a line; when it ``is_disturbed``, clock and store of its services are as ``disturb`` says."""
        self.bench, self.name, self._is_disturbed = bench, name, is_disturbed
        self.home = bench.home / "lines" / name
        self.home.mkdir(parents=True)
        self.services: dict[str, SupervisedService] = {}
        self._disturbance = self.home / "disturbance.json"
        self.disturb(Disturbance())
        self.file = self.home / "line.yaml"
        self.write(PARTITIONS)
        self.broker = KafkaBroker(KafkaSettings(bootstrap_servers=bench.addresses.kafka_bootstrap), "bench")
        self.broker.create_topics(list(self.topics))
        self._announce()
        self.flow = FlowWatch(self.broker, self.topics, self.group)
        self._closed = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, name="supervisor", daemon=True)
        self._supervisor.start()

    @property
    def group(self) -> str:
        """The scorers' group."""
        return f"{self.name}.scorer"

    def write(self, partitions: int) -> None:
        """Write the line file; services that run have read the old one."""
        source = f"folder:{self.bench.home / 'pictures'}?fps={FPS:g}&loop=true"
        cameras = "".join(
            f'  - {{id: {camera}, product: {PRODUCT}, source: "{source}", when_behind: {policy}}}\n'
            for camera, policy in CAMERAS.items()
        )
        self.file.write_text(
            f"line: faults\ntopics: {{prefix: {self.name}, partitions: {partitions}{self.replicas}}}\n"
            f"store: file://{self.bench.disks['store'].path}/objects\nproducts:\n  {PRODUCT}:\n"
            f"    detector: cobra\n    picture: {{size: {SIDE}, channels: gray}}\n"
            f"    normals: {self.bench.home / 'normals'}\n    steps: {STEPS}\n"
            f"    evidence_sample: 0.3\n    false_alarm_rate: 0.1\n"
            f"    gate: {{clean_drop: 1, robust_drop: 1, floor_drop: 1, steps: 2}}\n"
            f"    watch: {{every: 10s, samples: 8}}\ncameras:\n{cameras}",
            encoding="utf-8",
        )
        self.line = load_line(self.file)
        self.topics = self.line.kafka_topics()

    def disturb(self, disturbance: Disturbance) -> None:
        """Let clock and store be so from now on, for the services of a line that is disturbed."""
        disturbance.write(self._disturbance)

    def start(self, *names: str) -> None:
        """Start services: ``producers``, ``scorer-a`` and so on, ``trainer``."""
        for name in names:
            module, _, instance = name.partition("-")
            prefix = ["bench.faults.disturbed", str(self._disturbance)] if self._is_disturbed else []
            command = [*prefix, module, "run", "--line", str(self.file)]
            log = self.home / f"{name}.log"
            self.services[name] = SupervisedService(name, command, self._environment(instance), log)

    def start_all(self) -> None:
        """Start every service and wait until the line runs."""
        self.start("scorer-a", "scorer-b", "trainer", "producers")
        before = self.flow.scored
        self.wait(lambda: self.flow.scored > before + 2 * FPS, STARTED_WITHIN, "the first scores")

    def stop(self, name: str) -> int:
        """End a service for good."""
        return self.services[name].stop()

    def order(self, *verb: str) -> "subprocess.CompletedProcess[str]":
        """Run ``steadyline models VERB …`` on the line."""
        return self.steadyline("models", *verb)

    def steadyline(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run ``steadyline`` on the line."""
        return subprocess.run(
            [sys.executable, "-P", "-m", "steadyline", *arguments, "--line", str(self.file)],
            env=self._environment(""),
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def wait(self, done: Callable[[], bool], within: float, what: str) -> None:
        """Wait until ``done`` returns True; raises TimeoutError ``within`` seconds later."""
        end = time.monotonic() + within
        while not done():
            if time.monotonic() > end:
                raise TimeoutError(f"not within {within:.0f} s: {what}; see the logs in {self.home}")
            time.sleep(LOOK_SECONDS)

    def read(self, topic: str) -> list[Record]:
        """Return everything on a topic."""
        with closing(self.broker.reader("bench")) as reader:
            return list(reader.read(topic))

    def newest_version(self) -> int:
        """Return the newest version that is or was live; 0 without one."""
        events = [ModelEvent.decode(record.value) for record in self.read(self.topics.model_events.name)]
        models = events[-1].models if events else []
        return max((model.version for model in models if model.state in ("live", "retired")), default=0)

    def has_version(self, least: int) -> bool:
        """True when a version from ``least`` on is or was live."""
        return self.newest_version() >= least

    def drained(self) -> bool:
        """True when the group has committed every frame."""
        try:
            ends = self.broker.end_offsets([self.topics.frames.name])
            committed = self.broker.committed_offsets(self.group)
        except BrokerUnavailable:
            return False
        return all(committed.get(place, 0) >= end for place, end in ends.items())

    def audit(self) -> Audit:
        """Return the account of every frame of the line."""
        return Audit.of(gather(self.broker, self.topics, Scope(self.group)))

    def close(self) -> None:
        """End what runs and remove what the line has written to the servers and disks."""
        self._closed.set()
        self._supervisor.join(10)
        for service in reversed(self.services.values()):
            service.stop()
        self.flow.close()
        self.broker.close()
        shutil.rmtree(self.bench.disks["spool"].path / self.name, ignore_errors=True)
        shutil.rmtree(self.bench.disks["store"].path / "objects" / "evidence", ignore_errors=True)

    def _environment(self, instance: str) -> dict[str, str]:
        return {
            **self.bench.addresses.environment(),
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "STEADYLINE_LOG_FORMAT": "json",
            "PRODUCERS_STATE": str(self.bench.disks["spool"].path / self.name),
            "SCORER_INSTANCE": instance or "a",
            "TRAINER_WORK": str(self.home / "trainer"),
        }

    def _announce(self) -> None:
        """Say of the models what was said when they were trained."""
        topic = self.topics.model_events.name
        with closing(self.broker.publisher("bench")) as publisher:
            for record in self.bench.trained:
                publisher.publish(
                    Message(topic, record.key, record.value, record.headers), lambda error: None
                )

    def _supervise(self) -> None:
        while not self._closed.wait(LOOK_SECONDS):
            for service in list(self.services.values()):
                service.look()
