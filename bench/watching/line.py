"""A small line that is watched: servers, services and one subscriber, each of which can be disturbed."""

import os
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from bench.line.pictures import jpegs, write_folder
from bench.watching.endpoint import SwitchedEndpoint
from bench.watching.prometheus import Prometheus, ScrapeTarget
from producers.sources.address import SyntheticOptions
from producers.sources.synthetic import render
from steadyline.errors import BrokerUnavailable
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.line import load_line
from steadyline.ops.alerts_client import AlertsClient, AlertsUnavailable
from steadyline.own_line.services import Service, first_token
from steadyline.picture import encode_jpeg
from steadyline.servers import LocalStack
from steadyline.servers.ports import free_ports
from steadyline.settings import KafkaSettings

ROOT = Path(__file__).resolve().parents[2]
LINE, PRODUCT = "watched", "part"
CAMERAS, SCORERS = ("east-1", "east-2"), ("scorer-a", "scorer-b")
FPS, SIDE, STEPS, NORMALS = (5.0, 10.0), 64, 50, 48
# Of the second camera: full after some 80 s without a broker, when it has been growing for long enough.
SPOOL_BYTES = 1_700_000
TRAINED_WITHIN, STARTED_WITHIN = 600.0, 120.0
SCORED = 30  # frames, after which a line counts as scoring again


class ObservedLine:
    """Two cameras, two scorers, a trainer and the alerts, all scraped; what was opened ends with it."""

    def __init__(self, home: Path, stack: LocalStack, prometheus: Prometheus) -> None:
        self.home, self.stack, self.prometheus = home, stack, prometheus
        self.services: dict[str, Service] = {}
        self._ports: dict[str, int] = {}
        self._own: dict[str, str] = {}
        self._opened = ExitStack()
        self.endpoint = SwitchedEndpoint()
        self._opened.callback(self.endpoint.close)
        self.file = home / "line.yaml"
        self._write()
        self.topics = load_line(self.file).kafka_topics()
        settings = KafkaSettings(bootstrap_servers=stack.addresses.kafka_bootstrap)
        self.broker = KafkaBroker(settings, "bench")
        self._opened.callback(self.broker.close)
        self.broker.create_topics(list(self.topics))

    @property
    def database(self) -> Path:
        """The file of the database of alerts."""
        return self.home / "alerts.db"

    @property
    def store(self) -> Path:
        """The folder of the store."""
        return self.home / "store"

    def pictures(self, camera: str) -> Path:
        """Return the folder that a camera shows."""
        return self.home / "pictures" / camera

    def start_all(self) -> None:
        """Train a model, then start every service and subscribe the endpoint."""
        self.start("trainer")
        self.until(f'trainer_live_version{{line="{LINE}"}} >= 1', TRAINED_WITHIN)
        for name in SCORERS:
            self.start(name)
        self.client = self._alerts()
        self.start("producers")
        self.until_scored()

    def start(self, name: str, **variables: str) -> None:
        """Start a service on the line: ``scorer-a`` is one of several scorers."""
        module, _, instance = name.partition("-")
        self._ports.setdefault(name, free_ports(1)[0])
        environment = {
            **self.stack.addresses.environment(),
            "OMP_NUM_THREADS": "1",
            "STEADYLINE_LOG_FORMAT": "json",
            "STEADYLINE_HEALTH_PORT": str(self._ports[name]),
            "PRODUCERS_STATE": str(self.home / "producers"),
            "PRODUCERS_SPOOL_BYTES": str(SPOOL_BYTES),
            "PRODUCERS_STATUS_SECONDS": "0.5",
            "SCORER_INSTANCE": instance or "a",
            "TRITON_TIMEOUT_SECONDS": "2",
            "TRAINER_WORK": str(self.home / "trainer"),
            **self._own,
            **variables,
        }
        logs = self.log_file(name).parent
        self.services[name] = Service(module, ["run", "--line", str(self.file)], environment, logs)
        self._scrape()

    def log_file(self, name: str) -> Path:
        """Return the file that a service logs to."""
        return self.home / "logs" / name / f"{name.partition('-')[0]}.log"

    def restart(self, name: str, **variables: str) -> None:
        """End a service in order, and start it again."""
        self.stop(name)
        self.start(name, **variables)

    def until_ready(self, name: str) -> None:
        """Wait until a service that has just been started is ready. Raises TimeoutError."""
        self.prometheus.wait(lambda: _is_ready(self._ports[name]), STARTED_WITHIN, f"{name} is ready")

    def stop(self, name: str) -> None:
        """End a service in order; it is scraped on, as one that ought to be there."""
        self.services.pop(name).stop()

    def kill(self, name: str) -> None:
        """End a service by SIGKILL; it is scraped on, as one that ought to be there."""
        self.services.pop(name).kill()

    def remove(self, name: str) -> None:
        """End a service for good: it is not scraped any more."""
        self.services.pop(name).stop()
        del self._ports[name]
        self._scrape()

    def until(self, expression: str, within: float) -> float:
        """Wait until a query returns something; return the seconds."""
        return self.prometheus.wait(lambda: bool(self.prometheus.query(expression)), within, expression)

    def until_scored(self) -> None:
        """Wait until further frames are scored, whatever the broker does meanwhile. Raises TimeoutError."""
        ends: list[int] = []

        def more() -> bool:
            with suppress(BrokerUnavailable):
                ends.append(sum(self.broker.end_offsets([self.topics.scores.name]).values()))
            return bool(ends) and ends[-1] >= ends[0] + SCORED

        self.prometheus.wait(more, STARTED_WITHIN, f"{SCORED} further frames are scored")

    def command(self, *words: str) -> None:
        """Run ``steadyline`` on the line; its result is told by the line itself."""
        subprocess.run(
            [sys.executable, "-P", "-m", "steadyline", *words, "--line", str(self.file)],
            env={**os.environ, **self.stack.addresses.environment(), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            timeout=120,
            check=False,
        )

    @contextmanager
    def locked_database(self) -> Iterator[None]:
        """Hold the lock of the database."""
        connection = sqlite3.connect(self.database, timeout=30)
        connection.isolation_level = None
        connection.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")
            connection.close()

    def close(self) -> None:
        """End what runs."""
        for service in reversed(self.services.values()):
            service.stop()
        self._opened.close()

    def _write(self) -> None:
        for number, camera in enumerate(CAMERAS):
            write_folder(self.pictures(camera), jpegs(side=SIDE, first=1 + 100 * number))
        good = self.home / "normals" / "train" / "good"
        good.mkdir(parents=True)
        options = SyntheticOptions.model_validate({"size": SIDE, "defect_rate": 0.0})
        for number in range(NORMALS):
            # As the cameras show them: what JPEG does to a picture is normal, too.
            (good / f"{number:03}.jpg").write_bytes(encode_jpeg(render(options, 10_000 + number)))
        cameras = "".join(
            f"  - {{id: {camera}, product: {PRODUCT}, when_behind: {when_behind}, "
            f'source: "folder:{self.pictures(camera)}?fps={fps:g}&loop=true"}}\n'
            for camera, when_behind, fps in zip(CAMERAS, ("drop_oldest", "spool"), FPS, strict=True)
        )
        self.file.write_text(
            f"line: {LINE}\ntopics: {{prefix: {LINE}, partitions: 2}}\nstore: file://{self.store}\n"
            # Fitted in seconds, where others need minutes: there is one training in each run, or more.
            f"products:\n  {PRODUCT}:\n    detector: certified\n"
            f"    picture: {{size: {SIDE}, channels: gray}}\n"
            f"    normals: {self.home / 'normals'}\n    steps: {STEPS}\n    evidence_sample: 0.3\n"
            f"    false_alarm_rate: 0.1\n"
            f"    gate: {{clean_drop: 1, robust_drop: 1, floor_drop: 1, per_day: 1, steps: 2}}\n"
            f"    watch: {{every: 10s, samples: 8}}\n"
            f"    alerts: {{open_frames: {{anomalous: 1, of: 1}}, close_frames: 3, cooldown: 0s}}\n"
            f"alerts: {{notifications: {{most: 10000, within: 1m}}}}\ncameras:\n{cameras}",
            encoding="utf-8",
        )

    def _alerts(self) -> AlertsClient:
        port = free_ports(1)[0]
        self._own |= {
            "ALERTS_DATABASE": f"sqlite:///{self.database}",
            "ALERTS_API_PORT": str(port),
            "ALERTS_ALLOW_PRIVATE_ADDRESSES": "true",
            "ALERTS_HEARTBEAT_URL": self.endpoint.url,
            "ALERTS_HEARTBEAT_SECONDS": "2",
        }
        client = AlertsClient(f"http://127.0.0.1:{port}", first_token(self._own))
        self.start("alerts")
        self.prometheus.wait(lambda: self._is_subscribed(client), STARTED_WITHIN, "the API of alerts answers")
        return client

    def _is_subscribed(self, client: AlertsClient) -> bool:
        order = {"name": "bench", "channel": {"kind": "webhook", "url": self.endpoint.url}}
        try:
            client.post("subscriptions", body=order)
        except AlertsUnavailable:
            return False
        return True

    def _scrape(self) -> None:
        self.prometheus.scrape(
            [ScrapeTarget(name.partition("-")[0], LINE, port) for name, port in self._ports.items()]
        )


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return int(answer.status) == 200
    except OSError:
        return False
