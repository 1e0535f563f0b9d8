"""A line on real servers: its topics, its frames, its services as child processes, and their scores."""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.line.cpu import cpu_seconds
from bench.line.direct import triton_client
from bench.line.model import BenchModel, live_event
from steadyline.contracts.frame import Frame, FrameId
from steadyline.contracts.score import Score
from steadyline.errors import Backpressure
from steadyline.kafka.broker import Message
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.line import load_line
from steadyline.own_line.services import Service
from steadyline.servers import LocalStack
from steadyline.settings import KafkaSettings
from steadyline.triton_config import Serving
from trainer.lifecycle.promote import InService, Promoter
from trainer.lifecycle.repository import ModelRepository

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = "part"
CAMERAS = ("east-1", "east-2", "west-1", "west-2")
LOOK_SECONDS = 0.2
LOAD_WITHIN = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class BenchEnvironment:
    """The servers and the model that every line of the benchmark uses."""

    home: Path
    stack: LocalStack
    model: BenchModel

    def serve(self, version: int, beside: int | None = None) -> None:
        """Load a version beside the live one and probe it, as the trainer does."""
        triton = triton_client(self.stack.addresses)
        repository = ModelRepository(Path(self.stack.addresses.triton_repository))
        promoter = Promoter(repository, triton, LOAD_WITHIN, Serving())
        live = None if beside is None else InService(self.model.version(beside), self.model.file)
        promoter.put_beside(PRODUCT, self.model.version(version), self.model.file, live)
        triton.close()

    def servers_cpu(self) -> dict[str, float]:
        """Return the CPU seconds that each server has used so far."""
        return {name: cpu_seconds(server.pid) for name, server in self.stack.servers.items()}


class BenchLine:
    """One line with topics of its own; version 1 is in service from the start."""

    def __init__(self, environment: BenchEnvironment, name: str, source: str = "folder:.") -> None:
        """Make a line; each camera has this ``source``, where ``{camera}`` stands for the camera's name."""
        self.environment, self.home = environment, environment.home / name
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)
        self.file = self.home / "line.yaml"
        self.file.write_text(_line_yaml(name, self.home, source), encoding="utf-8")
        self.line = load_line(self.file)
        self.topics = self.line.kafka_topics()
        self.broker = KafkaBroker(
            KafkaSettings(bootstrap_servers=environment.stack.addresses.kafka_bootstrap), "bench"
        )
        self.broker.create_topics(list(self.topics))
        self._publisher = self.broker.publisher("bench-frames")
        self._epoch, self._sent = time.time_ns(), 0
        self._services: list[Service] = []
        self.announce(1)

    def __enter__(self) -> "BenchLine":
        return self

    def __exit__(self, *_error: object) -> None:
        for service in reversed(self._services):
            service.stop()
        self._publisher.close()
        self.broker.close()

    def announce(self, *versions: int) -> datetime:
        """Announce that the last of ``versions`` is in service; return the time of the announcement."""
        event = live_event(PRODUCT, [self.environment.model.version(number) for number in versions])
        headers = event.headers("bench", PRODUCT, event.at)
        self._write(Message(self.topics.model_events.name, PRODUCT.encode(), event.encode(), headers))
        self._flush()
        return event.at

    def send(self, pictures: Sequence[bytes], count: int) -> None:
        """Put ``count`` frames on the topic, from each camera in turn."""
        for number in range(self._sent, self._sent + count):
            camera = CAMERAS[number % len(CAMERAS)]
            identity = FrameId(camera, self._epoch, number // len(CAMERAS) + 1)
            data = pictures[number % len(pictures)]
            frame = Frame(identity, "bench", PRODUCT, datetime.now(UTC), "image/jpeg", data)
            self._write(Message(self.topics.frames.name, frame.key, data, frame.headers()))
        self._sent += count
        self._flush()

    def start(self, name: str, *arguments: str, **environment: str) -> Service:
        """Start ``python -m <name> … --line <file>``."""
        variables = {
            **self.environment.stack.addresses.environment(),
            "PRODUCERS_STATE": str(self.home / "producers"),
            "PYTHONPATH": str(ROOT),
            "STEADYLINE_LOG_FORMAT": "json",
            **environment,
        }
        service = Service(name, [*arguments, "--line", str(self.file)], variables, self.home)
        self._services.append(service)
        return service

    def stop(self, service: Service) -> None:
        """End a service."""
        service.stop()
        self._services.remove(service)

    def kill(self, service: Service) -> None:
        """End a service by SIGKILL."""
        service.kill()
        self._services.remove(service)

    def committed(self) -> int:
        """Return how many frames the scorers have committed."""
        return sum(self.broker.committed_offsets(f"{self.line.topics.prefix}.scorer").values())

    def untold(self) -> int:
        """Return how many scores, with their transactions' markers, the alerts have not committed."""
        scores = self.topics.scores.name
        taken = self.broker.committed_offsets(f"{self.line.topics.prefix}.alerts")
        told = sum(offset for partition, offset in taken.items() if partition.topic == scores)
        return sum(self.broker.end_offsets([scores]).values()) - told

    def published(self) -> int:
        """Return how many frames are on the topic."""
        return sum(self.broker.end_offsets([self.topics.frames.name]).values())

    def wait(self, done: Callable[[], bool], within: float = 120.0) -> None:
        """Wait until ``done`` returns True.

        Raises TimeoutError after ``within`` seconds, and ServiceDied when a service is gone.
        """
        end = time.monotonic() + within
        while not done():
            for service in self._services:
                service.check()
            if time.monotonic() > end:
                raise TimeoutError(f"not done within {within:.0f} s; see the logs in {self.home}")
            time.sleep(LOOK_SECONDS)

    def scores(self, since: datetime | None = None) -> list[tuple[Score, float]]:
        """Return the committed scores, each with the time (s since 1970) at which its transaction began."""
        reader = self.broker.reader("bench-scores")
        records = list(reader.read(self.topics.scores.name, since))
        reader.close()
        return [(Score.decode(record.value), record.timestamp_ms / 1000) for record in records]

    def _write(self, message: Message) -> None:
        while True:
            try:
                return self._publisher.publish(message, lambda error: None)
            except Backpressure:
                time.sleep(0.01)

    def _flush(self) -> None:
        if not self._publisher.flush(timedelta(seconds=60)):
            raise TimeoutError("the broker did not take the frames within a minute")


def _line_yaml(name: str, home: Path, source: str) -> str:
    cameras = "".join(
        f'  - {{id: {camera}, product: {PRODUCT}, source: "{source.format(camera=camera)}", '
        "when_behind: block}\n"
        for camera in CAMERAS
    )
    return (
        f"line: bench\ntopics: {{prefix: {name}, partitions: {len(CAMERAS)}}}\n"
        f"store: file://{home / 'store'}\n"
        f"products:\n  {PRODUCT}:\n    picture: {{size: 64, channels: gray}}\n"
        # Each anomalous frame between good ones is an alert: as many as there can be.
        "    alerts: {open_frames: {anomalous: 1, of: 1}, close_frames: 1, cooldown: 0s}\n"
        "alerts: {notifications: {most: 10000, within: 1s}}\n"
        f"cameras:\n{cameras}"
    )
