"""A line whose scores the bench writes, and the alerts processes that take them."""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.alerts.endpoints import BenchEndpoint, Change
from steadyline.contracts.alert import Alert
from steadyline.contracts.score import Peak, Score
from steadyline.errors import Backpressure
from steadyline.kafka.broker import Message
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.line import load_line
from steadyline.ops.alerts_client import AlertsClient, AlertsUnavailable
from steadyline.own_line.metrics_page import scrape
from steadyline.own_line.services import Service, first_token
from steadyline.servers import LocalStack
from steadyline.servers.ports import free_ports
from steadyline.settings import KafkaSettings

CAMERAS = ("east-1", "east-2", "west-1", "west-2")  # each on a partition of its own
PRODUCT = "part"
# p-values of the frames of one incident: it opens as an info, rises to critical, and is over.
INCIDENT = (0.04, 0.001, 0.9)
ANOMALOUS_UNDER = 0.05
LOOK_SECONDS = 0.2
STARTED_WITHIN = 120.0
TAKEN_METRIC = 'alerts_observations_total{kind="score"'


@dataclass(slots=True)
class AlertsProcess:
    """One running ``python -m alerts run``; ``port`` is that of its health pages, ``url`` of its API."""

    service: Service
    port: int
    url: str

    def taken(self) -> int:
        """Return how many scores it has taken into the database."""
        return round(scrape(self.port, TAKEN_METRIC))


class AlertsRig:
    """One line with topics of its own on a running Kafka, and a database."""

    def __init__(self, home: Path, stack: LocalStack, database: str | None = None) -> None:
        """``database`` is an address; by default the database is a file of SQLite in ``home``."""
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        self._home, self._stack = home, stack
        self._database = database or f"sqlite:///{home / 'alerts.db'}"
        self._file = home / "line.yaml"
        self._file.write_text(_line_yaml(home), encoding="utf-8")
        self._topics = load_line(self._file).kafka_topics()
        settings = KafkaSettings(bootstrap_servers=stack.addresses.kafka_bootstrap)
        self._broker = KafkaBroker(settings, "bench")
        self._broker.create_topics(list(self._topics))
        self._publisher = self._broker.publisher("bench-scores")
        self._epoch, self._sequence = time.time_ns(), 0
        self._running: list[AlertsProcess] = []
        self._token = first_token(self._environment("token"))

    def __enter__(self) -> "AlertsRig":
        return self

    def __exit__(self, *_error: object) -> None:
        for process in self._running:
            process.service.stop()
        self._publisher.close()
        self._broker.close()

    def start(self, instance: str) -> AlertsProcess:
        """Start a process and wait until its API answers."""
        port, api = free_ports(2)
        environment = {
            **self._environment(instance),
            "ALERTS_API_PORT": str(api),
            "STEADYLINE_HEALTH_PORT": str(port),
        }
        service = Service("alerts", ["run", "--line", str(self._file)], environment, self._home)
        process = AlertsProcess(service, port, f"http://127.0.0.1:{api}")
        self._running.append(process)
        self.wait(lambda: self._answers(process), STARTED_WITHIN)
        return process

    def kill(self, process: AlertsProcess) -> None:
        """End a process by SIGKILL."""
        process.service.kill()
        self._running.remove(process)

    def subscribe(self, process: AlertsProcess, endpoints: Sequence[BenchEndpoint]) -> None:
        """Subscribe each endpoint to everything."""
        client = AlertsClient(process.url, self._token)
        for one in endpoints:
            order = {"name": one.name, "channel": {"kind": "webhook", "url": one.url}}
            client.post("subscriptions", body=order)

    def send(self, incidents: int, pattern: Sequence[float] = INCIDENT) -> int:
        """Write the scores of so many incidents of each camera; return how many scores that are."""
        before = self._sequence
        for _ in range(incidents):
            for p_value in pattern:
                self._sequence += 1
                for partition, camera in enumerate(CAMERAS):
                    self._write(self._score(camera, p_value), partition)
        if not self._publisher.flush(timedelta(seconds=60)):
            raise TimeoutError("the broker did not take the scores within a minute")
        return (self._sequence - before) * len(CAMERAS)

    def told(self) -> set[Change]:
        """Return every change that subscribers are notified of, as the topic of alerts has it."""
        reader = self._broker.reader("bench-alerts")
        alerts = [Alert.decode(record.value) for record in reader.read(self._topics.alerts.name)]
        reader.close()
        return {(alert.incident, alert.sequence) for alert in alerts if alert.notify}

    def wait(self, done: Callable[[], bool], within: float) -> None:
        """Wait until ``done``; raises TimeoutError, and ServiceDied when a process has ended by itself."""
        end = time.monotonic() + within
        while not done():
            for process in self._running:
                process.service.check()
            if time.monotonic() > end:
                raise TimeoutError(f"not done within {within:.0f} s; see the logs in {self._home}")
            time.sleep(LOOK_SECONDS)

    def _answers(self, process: AlertsProcess) -> bool:
        try:
            AlertsClient(process.url, self._token).get("subscriptions")
        except AlertsUnavailable:
            return False
        return True

    def _environment(self, instance: str) -> dict[str, str]:
        return {
            **self._stack.addresses.environment(),
            "ALERTS_DATABASE": self._database,
            "ALERTS_INSTANCE": instance,
            "ALERTS_ALLOW_PRIVATE_ADDRESSES": "true",
            "STEADYLINE_LOG_FORMAT": "json",
        }

    def _score(self, camera: str, p_value: float) -> Score:
        now, is_anomalous = datetime.now(UTC), p_value < ANOMALOUS_UNDER
        return Score(
            frame=f"{camera}/{self._epoch}/{self._sequence}",
            camera=camera,
            product=PRODUCT,
            captured_at=now,
            scored_at=now,
            model_version=1,
            score=1.5 if is_anomalous else 0.5,
            p_value=p_value,
            threshold=1.0,
            threshold_version=1,
            verdict="anomalous" if is_anomalous else "normal",
            peak=Peak(x=0.5, y=0.5, value=1.5),
            source_partition=0,
            source_offset=self._sequence,
        )

    def _write(self, score: Score, partition: int) -> None:
        key, headers = score.camera.encode(), score.headers("bench", score.camera, score.scored_at)
        message = Message(self._topics.scores.name, key, score.encode(), headers, partition)
        while True:
            try:
                return self._publisher.publish(message, lambda error: None)
            except Backpressure:
                time.sleep(0.01)


def _line_yaml(home: Path) -> str:
    cameras = "".join(f"  - {{id: {name}, product: {PRODUCT}, source: 'folder:.'}}\n" for name in CAMERAS)
    return (
        f"line: bench\ntopics: {{prefix: {home.name}, partitions: {len(CAMERAS)}}}\n"
        f"store: file://{home / 'store'}\nproducts:\n  {PRODUCT}:\n    alerts: {{open_frames: "
        "{anomalous: 1, of: 1}, close_frames: 1, cooldown: 0s}\n"
        "alerts: {notifications: {most: 10000, within: 1s}}\n"
        f"cameras:\n{cameras}"
    )
