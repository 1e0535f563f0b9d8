"""A line with one product, real trainers as child processes, and what its topics say of its models."""

import os
import subprocess
import sys
import uuid
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
from steadyline.kafka.client import KafkaBroker
from steadyline.line import Line, load_line
from steadyline.picture import encode_png
from steadyline.servers import Addresses
from steadyline.service import EXIT_OK
from steadyline.settings import KafkaSettings, RedisSettings, TritonSettings
from steadyline.store import Store
from steadyline.triton import TritonClient
from tests.integration.trainer.running import RunningTrainer
from tests.support.eventually import eventually

SIZE = 32
TRAINED_WITHIN = 240.0  # twenty seconds on an idle machine; two cores may be shared with a lot
LENIENT = "{clean_drop: 1, robust_drop: 1, floor_drop: 1, steps: 2}"  # whatever has learned something passes
STRICT = "{clean_drop: 0.01, robust_drop: 0.02, floor_drop: 1, steps: 2}"


@dataclass(frozen=True, slots=True)
class Orders:
    """What the line file says of training. With 50 steps a net has learned something, with 10 nothing."""

    detector: str = "cobra"
    map_detector: str = ""
    steps: int = 50
    gate: str = LENIENT
    watch: str = "1h"
    retrain: str = "{}"


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


class Factory:
    """A line file in ``home`` and the trainers started for it, on the servers at ``addresses``."""

    def __init__(self, home: Path, addresses: Addresses) -> None:
        self.home, self.addresses = home, addresses
        self.product = f"part{uuid.uuid4().hex[:8]}"
        self.orders = USUAL
        self._started: list[RunningTrainer] = []
        self.broker = KafkaBroker(KafkaSettings(bootstrap_servers=addresses.kafka_bootstrap), "test")
        self.bank = RedisBank(RedisSettings(url=SecretStr(addresses.redis_url)))
        self.triton = TritonClient(
            TritonSettings(url=addresses.triton_grpc, admin_key=SecretStr(addresses.triton_admin_key))
        )
        self._add_normals(32)
        self.orders_are(USUAL)
        self.broker.create_topics(list(self.line.kafka_topics()))

    @property
    def line_file(self) -> Path:
        return self.home / "line.yaml"

    @property
    def line(self) -> Line:
        return load_line(self.line_file)

    @property
    def store(self) -> Store:
        return Store(self.line.store)

    @property
    def repository(self) -> Path:
        """The product's folder in Triton's repository."""
        return Path(self.addresses.triton_repository) / self.product

    def orders_are(self, orders: Orders) -> None:
        """Write the line file; trainers that run already have read the old one."""
        self.orders = orders
        own_map = f"    map_detector: {orders.map_detector}\n" if orders.map_detector else ""
        self.line_file.write_text(
            f"line: test\n"
            f"topics: {{prefix: {self.product}, partitions: 1}}\n"
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
            f"    watch: {{every: {orders.watch}, samples: 32}}\n",
            encoding="utf-8",
        )

    def work(self, orders: Orders = USUAL) -> RunningTrainer:
        """Return the one trainer at work by these orders; another one is ended first, as it should be."""
        alive = [running for running in self._started if running.is_alive]
        if len(alive) == 1 and self.orders == orders:
            return alive[0]
        self.rest()
        self.orders_are(orders)
        return self.start()

    def rest(self) -> None:
        """End the trainers by SIGTERM."""
        for running in self._started:
            assert not running.is_alive or running.stop() == EXIT_OK, running.text()[-4000:]

    def start(self, work: str = "work") -> RunningTrainer:
        """Start ``python -m trainer run``; trainers with different ``work`` are different trainers."""
        log = self.home / f"trainer-{len(self._started)}.log"
        variables = {
            **self._environment(),
            "TRAINER_WORK": str(self.home / work),
            "TRAINER_NICE": "0",
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-P", "-m", "trainer", "run", "--line", str(self.line_file)]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, env=variables, cwd=self.home, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        running = RunningTrainer(process, log)
        self._started.append(running)
        return running

    def steadyline(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run ``steadyline`` on the line."""
        command = [sys.executable, "-P", "-m", "steadyline", *arguments, "--line", str(self.line_file)]
        return subprocess.run(
            command,
            env={**self._environment(), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=300,
        )

    def models(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run ``steadyline models`` on the line."""
        return self.steadyline("models", *arguments)

    def events(self) -> list[ModelEvent]:
        """Return every event of the product, oldest first."""
        reader = self.broker.reader("test")
        try:
            records = list(reader.read(self.line.kafka_topics().model_events.name))
        finally:
            reader.close()
        return [ModelEvent.decode(record.value) for record in records]

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
        topic = self.line.kafka_topics().scores.name
        publisher = self.broker.publisher("test")
        failures: list[Exception | None] = []
        for score in scores:
            headers = score.headers("test", score.camera, score.scored_at)
            publisher.publish(Message(topic, score.camera.encode(), score.encode(), headers), failures.append)
        publisher.close()
        assert failures == [None] * len(scores)

    def wait_for(
        self, check: Callable[[ModelEvent], bool], what: str, within: float = TRAINED_WITHIN
    ) -> ModelEvent:
        """Wait for an event that ``check`` accepts; a trainer that ended by itself fails at once."""
        newest: list[ModelEvent] = []
        follower = self.broker.follower("test", [self.line.kafka_topics().model_events.name])

        def found() -> ModelEvent | None:
            for running in self._started:
                assert running.process.poll() in (None, EXIT_OK, -9), running.text()[-4000:]
            try:
                records = follower.poll(timedelta(seconds=0.2))
            except BrokerUnavailable:
                return None  # it is just coming back
            newest[:] = [ModelEvent.decode(record.value) for record in records[-1:]] or newest
            return newest[0] if newest and check(newest[0]) else None

        try:
            event = eventually(found, within, what)
        except AssertionError as error:
            logs = "\n".join(running.text()[-3000:] for running in self._started[-2:])
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

    def close(self) -> None:
        """End what still runs."""
        for running in self._started:
            if running.is_alive:
                running.kill()
        self.triton.close()
        self.bank.close()
        self.broker.close()

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **self.addresses.environment()}

    def _add_normals(self, count: int) -> None:
        folder = self.home / "normals" / "train" / "good"
        folder.mkdir(parents=True)
        for number, part in enumerate(stripes(count)):
            (folder / f"{number:03}.png").write_bytes(encode_png(part))
