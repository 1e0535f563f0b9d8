"""A line with one product, real trainers as child processes, and what its topics say of its models."""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
from pydantic import SecretStr

from steadyline.bank.redis import RedisBank
from steadyline.contracts.model_event import Change, Model, ModelEvent
from steadyline.contracts.score import Score
from steadyline.errors import BrokerUnavailable
from steadyline.kafka.broker import Message
from steadyline.picture import encode_png
from steadyline.servers import Addresses
from steadyline.service import EXIT_OK
from steadyline.settings import RedisSettings
from tests.support.eventually import eventually
from tests.support.line_under_test import LineUnderTest
from tests.support.service_process import ServiceProcess

SIZE = 32
TRAINED_WITHIN = 240.0  # twenty seconds on an idle machine; two cores may be shared with a lot
# Whatever has learned something passes, however often.
LENIENT = (
    "{clean_drop: 1, robust_drop: 1, detection_drop: 1, total_drop: 1, floor_drop: 1, per_day: 1000, "
    "steps: 2}"
)
STRICT = "{clean_drop: 0.01, robust_drop: 0.02, floor_drop: 1, per_day: 1000, steps: 2}"


@dataclass(frozen=True, slots=True)
class Orders:
    """What the line file says of training. With 50 steps a net has learned something, with 10 nothing."""

    detector: str = "cobra"
    map_detector: str = ""
    steps: int = 50
    gate: str = LENIENT
    watch: str = "1h"
    retrain: str = "{}"
    cameras: tuple[str, ...] = ()  # none: the line file lists none, and any camera may send


USUAL = Orders()


def stripes(count: int, seed: int = 0) -> list[np.ndarray]:
    """Return normal parts: vertical stripes of one phase, with noise and a varying light."""
    random = np.random.default_rng(seed)
    wave = 110 + 50 * np.sin(np.arange(48) * 2 * np.pi / 12)
    parts = []
    for _ in range(count):
        light = random.uniform(0.9, 1.1)
        part = light * np.tile(wave, (48, 1)) + random.normal(0, 4, (48, 48))
        parts.append(np.clip(part, 0, 255).astype(np.uint8))
    return parts


class TrainerLine(LineUnderTest):
    """A line of one product with a folder of normals, and the trainers started for it."""

    def __init__(self, home: Path, addresses: Addresses) -> None:
        super().__init__(home, addresses)
        self.product = f"part-{self.name}"
        self.bank = RedisBank(RedisSettings(url=SecretStr(addresses.redis_url)), "test")
        self._opened.callback(self.bank.close)
        self._add_normals(32)
        self.orders_are(USUAL)
        self.create_topics()

    @property
    def repository(self) -> Path:
        """The product's folder in Triton's repository."""
        return Path(self.addresses.triton_repository) / self.product

    def orders_are(self, orders: Orders) -> None:
        """Write the line file; trainers that run already have read the old one."""
        self.orders = orders
        own_map = f"    map_detector: {orders.map_detector}\n" if orders.map_detector else ""
        self.write_line(
            f"line: test\n"
            f"topics: {{prefix: {self.name}, partitions: 1}}\n"
            f"store: file://{self.home / 'store'}\n"
            f"products:\n"
            f"  {self.product}:\n"
            f"    detector: {orders.detector}\n"
            f"{own_map}"
            f"    picture: {{size: {SIZE}, channels: gray}}\n"
            f"    normals: {self.home / 'normals'}\n"
            f"    steps: {orders.steps}\n"
            f"    false_alarm_rate: 0.1\n"
            f"    gate: {orders.gate}\n"
            f"    retrain: {orders.retrain}\n"
            f"    watch: {{every: {orders.watch}, samples: 32}}\n" + self._cameras(orders)
        )

    def work(self, orders: Orders = USUAL) -> ServiceProcess:
        """Return the one trainer at work by these orders; another one is ended first, as it should be."""
        alive = [running for running in self.started if running.is_alive]
        if len(alive) == 1 and self.orders == orders:
            return alive[0]
        self.rest()
        self.orders_are(orders)
        return self.start()

    def rest(self) -> None:
        """End the trainers by SIGTERM."""
        for running in self.started:
            assert not running.is_alive or running.stop() == EXIT_OK, running.tail()

    def start(self, work: str = "work") -> ServiceProcess:
        """Start ``python -m trainer run``; trainers with different ``work`` are different trainers."""
        own = {"TRAINER_WORK": str(self.home / work), "TRAINER_NICE": "0"}
        return self.start_service("trainer", environment=own)

    def verb(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run ``steadyline`` on the line, for people to read."""
        return self.steadyline(*arguments, "--line", str(self.line_file))

    def models(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run ``steadyline models`` on the line."""
        return self.verb("models", *arguments)

    def event(self) -> ModelEvent | None:
        """Return the newest event of the product."""
        return next(reversed(self.events()), None)

    def live(self) -> Model:
        """Return the model in service."""
        event = self.event()
        assert event is not None
        live = event.live()
        assert live is not None
        return live

    def publish_scores(self, scores: Sequence[Score]) -> None:
        """Write scores, as the scorer does."""
        topic = self.topics.scores.name
        publisher = self.broker.publisher("test")
        failures: list[Exception | None] = []
        for score in scores:
            headers = score.headers("test", score.camera, score.scored_at)
            key, place = score.camera.encode(), score.source_partition
            publisher.publish(Message(topic, key, score.encode(), headers, place), failures.append)
        publisher.close()
        assert failures == [None] * len(scores)

    def wait_for(
        self, check: Callable[[ModelEvent], bool], what: str, within: float = TRAINED_WITHIN
    ) -> ModelEvent:
        """Wait for an event that ``check`` accepts; a trainer that ended by itself fails at once."""
        newest: list[ModelEvent] = []
        follower = self.broker.follower("test", [self.topics.model_events.name])

        def found() -> ModelEvent | None:
            for running in self.started:
                assert running.poll() in (None, EXIT_OK, -9), running.tail()
            try:
                records = follower.poll(timedelta(seconds=0.2))
            except BrokerUnavailable:
                return None  # it is just coming back
            newest[:] = [ModelEvent.decode(record.value) for record in records[-1:]] or newest
            return newest[0] if newest and check(newest[0]) else None

        try:
            event = eventually(found, within, what)
        except AssertionError as error:
            logs = "\n".join(running.tail() for running in self.started[-2:])
            raise AssertionError(f"{error}\n{logs}") from error
        finally:
            follower.close()
        assert event is not None
        return event

    def wait_live(self, version: int, within: float = TRAINED_WITHIN) -> ModelEvent:
        """Wait until ``version`` is live."""
        return self.wait_for(lambda event: event.live_version == version, f"version {version} live", within)

    def wait_change(self, version: int, after: str, within: float = TRAINED_WITHIN) -> Change:
        """Wait for a change of ``version`` to the state ``after``."""

        def found(event: ModelEvent) -> bool:
            return any(change.version == version and change.after == after for change in event.changes)

        event = self.wait_for(found, f"version {version} {after}", within)
        return [c for c in event.changes if c.version == version and c.after == after][-1]

    def _cameras(self, orders: Orders) -> str:
        """Return the cameras of the line file; nobody starts their producers."""
        what = f"product: {self.product}, source: 'folder:.'"
        listed = "".join(f"  - {{id: {camera}, {what}}}\n" for camera in orders.cameras)
        return f"cameras:\n{listed}" if listed else ""

    def _add_normals(self, count: int) -> None:
        folder = self.home / "normals" / "train" / "good"
        folder.mkdir(parents=True)
        for number, part in enumerate(stripes(count)):
            (folder / f"{number:03}.png").write_bytes(encode_png(part))
