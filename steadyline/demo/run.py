"""The demonstration from start to end: train, run the line, unplug a camera, train again beside it, swap."""

import json
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.live import Live

from steadyline.contracts.alert import AlertChange
from steadyline.contracts.model_command import ModelCommand
from steadyline.demo.alerting import AlertWatch, PulledPlug
from steadyline.demo.observe import ObservedMessages, Observer
from steadyline.demo.plan import CAMERAS, PRODUCT, UNPLUGGED, DemoPlan
from steadyline.demo.split import Split, add_normals, lay_out, split_dataset
from steadyline.demo.table import live_table, one_line
from steadyline.errors import Fatal
from steadyline.kafka.broker import Broker
from steadyline.kafka.commands import CommandPublisher
from steadyline.line import Line, load_line
from steadyline.own_line.metrics_page import scrape
from steadyline.own_line.services import Service, first_token
from steadyline.servers.ports import free_ports
from steadyline.signing import PRIVATE, PUBLIC, write_pair
from steadyline.terminal import PlainConsole

TICK_SECONDS = 0.5
LOG_EVERY_SECONDS = 15.0
FAILURES_METRIC = "scorer_inference_failures_total"
PROGRESS_METRIC = "trainer_training_progress_ratio"
SCORES_TAKEN_METRIC = 'alerts_observations_total{kind="score"'
MINUTE = timedelta(minutes=1)


class DemoFailed(Fatal):
    """The demonstration could not be completed; the message names the log to read."""

    reason = "demo_failed"


@dataclass(slots=True)
class Outcome:
    """What the run keeps for the summary."""

    line: Line
    observed: ObservedMessages
    failed_requests: int
    alerts: dict[str, Any]
    started: float


def prepare_folders(plan: DemoPlan, dataset: Path) -> Split:
    """Start from an empty home and lay out the split; ``dataset`` is in MVTec layout."""
    for path in (
        plan.normals,
        plan.held_out,
        plan.stream,
        plan.home / "store",
        plan.home / "trainer",
        plan.home / "producers",
        plan.alerts,
        plan.keys,
        plan.logs,
    ):
        shutil.rmtree(path, ignore_errors=True)
    plan.home.mkdir(parents=True, exist_ok=True)
    write_pair(plan.keys)
    split = split_dataset(dataset, plan.first_normals)
    lay_out(split, plan)
    return split


class Demonstration:
    """Runs the services on started servers, whose addresses are in ``environment``.

    ``check_servers`` raises when a server has ended.
    """

    def __init__(
        self,
        plan: DemoPlan,
        broker: Broker,
        environment: dict[str, str],
        console: PlainConsole,
        check_servers: Callable[[], None],
    ) -> None:
        self._plan, self._broker, self._environment, self._console = plan, broker, environment, console
        self._check_servers = check_servers
        self._services: list[Service] = []
        self._last_log = 0.0
        self._trainer_port = self._scorer_port = self._alerts_port = 0

    def run(self, split: Split, size: int) -> Outcome:
        """Return when the producers have ended and every frame is accounted for, or after the deadline."""
        plan, started = self._plan, time.monotonic()
        self._scorer_port, self._trainer_port, self._alerts_port, api_port = free_ports(4)
        plan.line_file.write_text(plan.line_yaml(size), encoding="utf-8")
        line = load_line(plan.line_file)
        topics = line.kafka_topics()
        self._broker.create_topics(list(topics))
        with ExitStack() as stack:
            stack.callback(self._stop_all)
            observer = Observer(self._broker, topics, scorer_group(line))
            stack.callback(observer.close)
            seen = observer.seen
            self._start("trainer", STEADYLINE_HEALTH_PORT=str(self._trainer_port))
            self._wait("training v1", seen, lambda: first_is_live(seen), plan.training_deadline)
            scorer = self._start("scorer", STEADYLINE_HEALTH_PORT=str(self._scorer_port))
            watch = self._subscribe(seen, api_port, stack)
            producers = self._start_cameras(*(camera for camera in CAMERAS if camera != UNPLUGGED))
            unplugged = self._start_cameras(UNPLUGGED)
            self._wait("first scores", seen, lambda: has_scores_of_all(seen), MINUTE)
            self._run_for("line runs on v1", seen, plan.line_seconds_before_retrain)
            unplugged, pulled = self._unplug(seen, watch, unplugged)
            added = add_normals(split, plan)
            self._console.print(f"a second training starts beside the line, with {added} more normals")
            self._retrain(line)
            self._wait("training v2 beside the line", seen, lambda: is_decided(seen), plan.training_deadline)
            self._run_for("line runs on", seen, plan.line_seconds_after_swap)
            if plan.keep:
                self._keep(seen)
            for service in (producers, unplugged):
                service.stop()
            self._wait("draining", seen, lambda: is_drained(seen), MINUTE)
            self._wait("draining", seen, lambda: self._is_told(seen, watch), MINUTE)
            failures = scrape(self._scorer_port, FAILURES_METRIC)
            scorer.check()
            return Outcome(line, seen, round(failures), watch.figures(pulled), started)

    def _subscribe(self, seen: ObservedMessages, port: int, stack: ExitStack) -> AlertWatch:
        """Start the service of alerts and subscribe to it, with the first token."""
        settings = {
            "ALERTS_DATABASE": f"sqlite:///{self._plan.alerts / 'alerts.db'}",
            "ALERTS_API_PORT": str(port),
            "ALERTS_ALLOW_PRIVATE_ADDRESSES": "true",  # the endpoint is on this machine
            "ALERTS_ELAPSE_SECONDS": "0.5",
            "STEADYLINE_HEALTH_PORT": str(self._alerts_port),
        }
        watch = AlertWatch(f"http://127.0.0.1:{port}", first_token({**self._environment, **settings}))
        stack.callback(watch.close)
        self._start("alerts", **settings)
        self._wait("subscribing to alerts", seen, watch.subscribe, MINUTE)
        return watch

    def _unplug(
        self, seen: ObservedMessages, watch: AlertWatch, service: Service
    ) -> tuple[Service, PulledPlug]:
        """Kill a camera's producer, wait for the alert, start it again, wait for the end of the incident."""
        self._console.print(f"{UNPLUGGED} is unplugged: its producer is killed")
        self._services.remove(service)
        service.kill()
        at = datetime.now(UTC)
        down = self._seconds_until(f"{UNPLUGGED} is unplugged", seen, watch, "opened", at)
        told = "nothing is alerted" if down is None else f"alerted after {down:.1f} s"
        self._console.print(f"{told}; {UNPLUGGED} is plugged in again")
        at, again = datetime.now(UTC), self._start_cameras(UNPLUGGED)
        back = None
        if down is not None:
            back = self._seconds_until(f"{UNPLUGGED} is back", seen, watch, "resolved", at)
        return again, PulledPlug(UNPLUGGED, down, back)

    def _seconds_until(
        self, phase: str, seen: ObservedMessages, watch: AlertWatch, change: AlertChange, since: datetime
    ) -> float | None:
        """Return the seconds from ``since`` to a change of the camera's incident; None after a minute."""
        end = time.monotonic() + MINUTE.total_seconds()

        def came() -> bool:
            return watch.first(UNPLUGGED, "camera_down", change, since) is not None

        self._wait(phase, seen, lambda: came() or time.monotonic() > end, 2 * MINUTE)
        found = watch.first(UNPLUGGED, "camera_down", change, since)
        return None if found is None else round((found.at - since).total_seconds(), 2)

    def _is_told(self, seen: ObservedMessages, watch: AlertWatch) -> bool:
        """Tell whether every score was taken by the alerts, and everything was delivered."""
        with seen.lock:
            scores = len(seen.scores)
        return scrape(self._alerts_port, SCORES_TAKEN_METRIC) >= scores and watch.is_settled()

    def _start_cameras(self, *cameras: str) -> Service:
        """Start one process of producers with these cameras."""
        options = [word for camera in cameras for word in ("--camera", camera)]
        return self._start("producers", *options)

    def _start(self, name: str, *options: str, **environment: str) -> Service:
        arguments = ["run", "--line", str(self._plan.line_file), *options]
        folders = {
            "TRAINER_WORK": str(self._plan.home / "trainer"),
            "PRODUCERS_STATE": str(self._plan.home / "producers"),
        }
        keys = {"STEADYLINE_TRUSTED_KEYS_FILE": str(self._plan.keys / PUBLIC)}
        if name == "trainer":
            keys["STEADYLINE_SIGNING_KEY_FILE"] = str(self._plan.keys / PRIVATE)
        whole = {**self._environment, **folders, **keys, **environment}
        service = Service(name, arguments, whole, self._plan.logs)
        self._services.append(service)
        return service

    def _stop_all(self) -> None:
        for service in reversed(self._services):
            service.stop()

    def _run_for(self, phase: str, seen: ObservedMessages, seconds: float) -> None:
        end = time.monotonic() + seconds
        self._wait(phase, seen, lambda: time.monotonic() >= end, timedelta(seconds=seconds + 60))

    def _keep(self, seen: ObservedMessages) -> None:
        self._console.print("the line runs on (--keep): Ctrl-C ends it and prints the account")
        try:
            self._wait("running", seen, lambda: False, timedelta(days=365))
        except KeyboardInterrupt:
            self._console.print("ending")

    def _wait(self, phase: str, seen: ObservedMessages, done: Callable[[], bool], within: timedelta) -> None:
        """Show the line until ``done``.

        Raises DemoFailed after ``within``, ServiceDied when a service has ended, and the error of
        ``check_servers`` when a server has.
        """
        end = time.monotonic() + within.total_seconds()
        with ExitStack() as stack:
            live = stack.enter_context(Live(console=self._console)) if self._console.is_terminal else None
            while not done():
                self._check_servers()
                for service in self._services:
                    if phase != "draining" or service.name != "producers":
                        service.check()
                if time.monotonic() > end:
                    raise DemoFailed(f"{phase}: not done within {within}; see the logs in {self._plan.logs}")
                self._show(live, phase, seen)
                time.sleep(TICK_SECONDS)

    def _show(self, live: Live | None, phase: str, seen: ObservedMessages) -> None:
        now = time.monotonic()
        if live is None and now - self._last_log < LOG_EVERY_SECONDS:
            return
        progress = self._progress()
        phase = phase if progress is None else f"{phase} {progress:.0%}"
        if live is not None:
            live.update(live_table(seen, phase))
        else:
            self._last_log = now
            self._console.print(one_line(seen, phase), soft_wrap=True)

    def _progress(self) -> float | None:
        """Return the progress of the running training, or None when none runs or the trainer gives none."""
        try:
            return scrape(self._trainer_port, PROGRESS_METRIC) or None
        except OSError:
            return None

    def _retrain(self, line: Line) -> None:
        now = datetime.now(UTC)
        order = ModelCommand(
            product=PRODUCT, action="retrain", who="demo", at=now, why="more normals", version=None
        )
        topic = line.kafka_topics().model_commands
        with closing(CommandPublisher(self._broker, topic, line.line, "demo")) as commands:
            commands.send(order)


def scorer_group(line: Line) -> str:
    """Return the consumer group of the line's scorers."""
    return f"{line.topics.prefix}.scorer"


def live_version(seen: ObservedMessages) -> int | None:
    """Return the version in service according to the last model event."""
    with seen.lock:
        return seen.model.live_version if seen.model is not None else None


def first_is_live(seen: ObservedMessages) -> bool:
    """Tell whether a version is live; raises DemoFailed when the gate refused the first one."""
    with seen.lock:
        event = seen.model
    refused = [] if event is None else [change for change in event.changes if change.after == "rejected"]
    if refused:
        raise DemoFailed(f"the first model was refused: {refused[-1].reason}; train longer with --steps")
    return live_version(seen) is not None


def has_scores_of_all(seen: ObservedMessages) -> bool:
    """Tell whether every camera has a score."""
    with seen.lock:
        return {score.camera for score in seen.scores} == set(CAMERAS)


def is_decided(seen: ObservedMessages) -> bool:
    """Tell whether a version above 1 is live or rejected."""
    with seen.lock:
        event = seen.model
    return event is not None and any(
        change.version > 1 and change.after in ("live", "rejected") for change in event.changes
    )


def is_drained(seen: ObservedMessages) -> bool:
    """Tell whether every camera has ended and nothing is left on the frames topic."""
    with seen.lock:
        ended = bool(seen.statuses) and all(status.state == "ended" for status in seen.statuses.values())
        published = sum(status.published for status in seen.statuses.values())
        return ended and seen.lag == 0 and len(seen.scores) >= published


def write_summary(path: Path, summary: dict[str, object]) -> None:
    """Write the summary as JSON."""
    path.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
