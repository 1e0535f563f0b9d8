"""A whole line in one terminal: servers where none are given, every service, one view of the logs."""

import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from steadyline.clock import Clock
from steadyline.errors import InvalidConfiguration
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.line import Line
from steadyline.own_line.first_start import make_keys, make_token
from steadyline.own_line.folders import LineFolders
from steadyline.own_line.log_view import LogView
from steadyline.own_line.metrics_page import scrape
from steadyline.own_line.services import Service
from steadyline.own_line.supervise import Supervisor
from steadyline.servers.ports import free_ports, is_free
from steadyline.settings import KafkaSettings, read_settings
from steadyline.signing import PRIVATE, PUBLIC
from steadyline.terminal import PlainConsole

TURN = timedelta(seconds=0.5)
TOLD_EVERY = timedelta(seconds=15)
API_PORT = 8470  # as the alerts have it by default; another one where it is taken
SERVICES = ("trainer", "alerts", "scorer", "producers")
AT_ITS_END = {
    "producers": "each camera is at its end, as a folder or a video without loop=true comes to one, or they "
    "were told to end; what they have sent is still scored, and another `steadyline run` starts them again"
}


@dataclass(frozen=True, slots=True)
class OwnLine:
    """A line and where it writes.

    ``environment`` has the addresses of the servers, ``given`` are the variables that the user has set.
    ``check_servers`` raises when one of the servers has ended.
    """

    line: Line
    folders: LineFolders
    environment: dict[str, str]
    given: frozenset[str]
    console: PlainConsole
    clock: Clock
    check_servers: Callable[[], None]

    def run(self, stop: threading.Event) -> None:
        """Run until ``stop`` is set; then stop the cameras first, and what reads from them after.

        Raises ServiceDied when a service cannot run with its settings, and the error of ``check_servers``.
        """
        self._create_topics()
        ports = _Ports.choose()
        environment = {**self.environment, **self._settings(ports)}
        if "ALERTS_DATABASE" in environment:
            note = make_token(self.folders, environment, stop)
            if note is not None:
                self.console.print(note, soft_wrap=True)
        if stop.is_set():
            return
        supervisor, view = Supervisor(self.clock, self.console, stop), LogView(self.console)
        with ExitStack() as cleanup:
            cleanup.callback(view.show)
            cleanup.callback(supervisor.stop)
            for name in SERVICES:
                view.follow(name, self.folders.logs / f"{name}.log")
                start = partial(self._service, name, environment, ports)
                supervisor.start(name, start, AT_ITS_END.get(name))
            self._welcome(ports)
            told = self.clock.monotonic()
            while not self.clock.wait(stop, TURN):
                self.check_servers()
                supervisor.look()
                view.show()
                if self.clock.monotonic() - told >= TOLD_EVERY.total_seconds():
                    told = self.clock.monotonic()
                    self.console.print(_summary(ports), soft_wrap=True)
            self.console.print("stopping: cameras first, then what reads from them")

    def _create_topics(self) -> None:
        kafka = read_settings(KafkaSettings)
        if "KAFKA_BOOTSTRAP_SERVERS" in self.environment:
            kafka = kafka.model_copy(
                update={"bootstrap_servers": self.environment["KAFKA_BOOTSTRAP_SERVERS"]}
            )
        with closing(KafkaBroker(kafka, "run")) as broker:
            broker.create_topics(list(self.line.kafka_topics()))

    def _settings(self, ports: "_Ports") -> dict[str, str]:
        """Return the settings that a line in one folder needs; what the user's environment says, stands."""
        folders = self.folders
        folders.database.parent.mkdir(parents=True, exist_ok=True)
        own = {
            "PRODUCERS_STATE": str(folders.home / "producers"),
            "TRAINER_WORK": str(folders.home / "trainer"),
            "ALERTS_DATABASE": f"sqlite:///{folders.database}",
            "ALERTS_API_PORT": str(ports.api),
            "STEADYLINE_LOG_FORMAT": "json",
        }
        if "STEADYLINE_SIGNING_KEY_FILE" not in self.given:
            make_keys(folders)
            own["STEADYLINE_TRUSTED_KEYS_FILE"] = str(folders.keys / PUBLIC)
        return {name: value for name, value in own.items() if name not in self.given}

    def _service(self, name: str, environment: dict[str, str], ports: "_Ports") -> Service:
        own = {"STEADYLINE_HEALTH_PORT": str(ports.health[name])}
        if name == "trainer" and "STEADYLINE_TRUSTED_KEYS_FILE" in environment:
            own["STEADYLINE_SIGNING_KEY_FILE"] = str(self.folders.keys / PRIVATE)
        arguments = ["run", "--line", str(self.folders.line_file)]
        return Service(name, arguments, {**environment, **own}, self.folders.logs)

    def _welcome(self, ports: "_Ports") -> None:
        say = partial(self.console.print, soft_wrap=True)
        cameras = ", ".join(camera.id for camera in self.line.cameras)
        say(f"line {self.line.line} runs: {cameras}; logs in {self.folders.logs}; Ctrl-C ends it")
        if self.folders.token.exists():
            say(
                f"API of the alerts: http://127.0.0.1:{ports.api}/api/v1, first token in {self.folders.token}"
            )
        say("frames are scored once a model is in service; the first one is trained now, unless it is there")


@dataclass(frozen=True, slots=True)
class _Ports:
    api: int
    health: dict[str, int] = field(default_factory=dict)

    @staticmethod
    def choose() -> "_Ports":
        first, *others = free_ports(1 + len(SERVICES))
        return _Ports(API_PORT if is_free(API_PORT) else first, dict(zip(SERVICES, others, strict=True)))


def check_normals(line: Line) -> None:
    """Raise InvalidConfiguration when the line has no camera, or a product nothing to be trained on."""
    if not line.cameras:
        raise InvalidConfiguration("the line file has no cameras: `steadyline init` writes one that has")
    lacking = [name for name, product in line.products.items() if product.normals is None]
    if lacking:
        raise InvalidConfiguration(
            f"product {lacking[0]} has no normals: name its folder of good parts in the line file"
        )


def _summary(ports: _Ports) -> str:
    """Return one sentence about the line; what does not answer yet counts as nothing."""

    def of(service: str, metric: str, label: str = "") -> float:
        try:
            return scrape(ports.health[service], metric, label)
        except OSError:
            return 0.0

    version = of("trainer", "trainer_live_version")
    training = of("trainer", "trainer_training_progress_ratio")
    scored = of("scorer", "scorer_frames_scored_total")
    anomalous = of("scorer", "scorer_frames_scored_total", 'verdict="anomalous"')
    found = [
        f"model v{version:.0f} in service" if version else "no model in service yet",
        f"training {training:.0%}" if training else "",
        f"{scored:.0f} frames scored, {anomalous:.0f} of them anomalous" if scored else "no frame scored yet",
    ]
    return "line: " + ", ".join(part for part in found if part)
