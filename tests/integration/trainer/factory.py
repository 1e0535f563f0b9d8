"""A line with one product, real trainers as child processes, and what its topics say of its models."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from pydantic import SecretStr

from steadyline.bank.redis import RedisBank
from steadyline.contracts.model_command import Action, ModelCommand
from steadyline.contracts.model_event import Change, ModelEvent
from steadyline.kafka.broker import Message
from steadyline.kafka.client import KafkaBroker
from steadyline.line import Line, load_line
from steadyline.models import newest_events
from steadyline.picture import encode_png
from steadyline.servers import Addresses
from steadyline.settings import KafkaSettings, RedisSettings, TritonSettings
from steadyline.store import Store
from steadyline.triton import TritonClient
from tests.support.eventually import eventually

STEPS = 12  # enough to learn a stripe, few enough for a test
SIZE = 32
TRAINED_WITHIN = 150.0  # two cores, shared with other tests


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


@dataclass
class Running:
    """One trainer process and its log."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def stop(self, within: float = 40.0) -> int:
        """End it by SIGTERM; returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"still running; the log:\n{self.text()[-3000:]}") from None

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.process.kill()
        self.process.wait()

    def text(self) -> str:
        """Return the log so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def lines(self, word: str) -> list[str]:
        """Return the log's lines with ``word``."""
        return [line for line in self.text().splitlines() if word in line]


class Factory:
    """A line file in ``home`` and the trainers started for it, on the servers at ``addresses``."""

    def __init__(self, home: Path, addresses: Addresses) -> None:
        self.home, self.addresses = home, addresses
        self.product = f"part{uuid.uuid4().hex[:8]}"
        self._started: list[Running] = []
        self.broker = KafkaBroker(KafkaSettings(bootstrap_servers=addresses.kafka_bootstrap), "test")
        self.bank = RedisBank(RedisSettings(url=SecretStr(addresses.redis_url)))
        self.triton = TritonClient(
            TritonSettings(url=addresses.triton_grpc, admin_key=SecretStr(addresses.triton_admin_key))
        )
        self.add_normals(40)
        self.describe()
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

    def add_normals(self, count: int, seed: int = 0) -> None:
        """Put more normal parts into the product's folder."""
        folder = self.home / "normals" / "train" / "good"
        folder.mkdir(parents=True, exist_ok=True)
        for number, part in enumerate(stripes(count, seed)):
            (folder / f"{seed}-{number:03}.png").write_bytes(encode_png(part))

    def describe(self, steps: int = STEPS, watch: str = "1h", gate: str = "{}") -> None:
        """Write the line file."""
        self.line_file.write_text(
            f"line: test\n"
            f"topics: {{prefix: {self.product}, partitions: 1}}\n"
            f"store: file://{self.home / 'store'}\n"
            f"products:\n"
            f"  {self.product}:\n"
            f"    picture: {{size: {SIZE}, channels: gray}}\n"
            f"    normals: {self.home / 'normals'}\n"
            f"    steps: {steps}\n"
            f"    false_alarm_rate: 0.1\n"
            f"    gate: {gate}\n"
            f"    watch: {{every: {watch}, samples: 8}}\n",
            encoding="utf-8",
        )

    def start(self, work: str = "work", **environment: str) -> Running:
        """Start ``python -m trainer run``; trainers with different ``work`` are different trainers."""
        log = self.home / f"trainer-{len(self._started)}.log"
        variables: Mapping[str, str] = {
            **os.environ,
            **self.addresses.environment(),
            "TRAINER_WORK": str(self.home / work),
            "TRAINER_NICE": "0",
            "OMP_NUM_THREADS": "1",
            **environment,
        }
        command = [sys.executable, "-P", "-m", "trainer", "run", "--line", str(self.line_file)]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, env=variables, cwd=self.home, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        running = Running(process, log)
        self._started.append(running)
        return running

    def event(self) -> ModelEvent | None:
        """Return the newest event of the product."""
        return newest_events(self.broker, self.line.kafka_topics().model_events).get(self.product)

    def order(self, action: Action, version: int | None = None) -> None:
        """Send a command to the trainer."""
        now = datetime.now(UTC)
        command = ModelCommand(
            product=self.product, action=action, version=version, who="test", at=now, why=""
        )
        key = self.product.encode()
        topic = self.line.kafka_topics().model_commands.name
        publisher = self.broker.publisher("test")
        failures: list[Exception | None] = []
        publisher.publish(
            Message(topic, key, command.encode(), command.headers("test", self.product, now)), failures.append
        )
        assert publisher.flush(timedelta(seconds=10))
        publisher.close()
        assert failures == [None]

    def wait_for(
        self, check: Callable[[ModelEvent], bool], what: str, within: float = TRAINED_WITHIN
    ) -> ModelEvent:
        """Wait for an event that ``check`` accepts; a trainer that ended by itself fails at once."""

        def found() -> ModelEvent | None:
            for running in self._started:
                assert running.process.poll() in (None, 0, -9), running.text()[-4000:]
            event = self.event()
            return event if event is not None and check(event) else None

        try:
            event = eventually(found, within, what)
        except AssertionError as error:
            logs = "\n".join(running.text()[-3000:] for running in self._started)
            raise AssertionError(f"{error}\n{logs}") from error
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
            if running.process.poll() is None:
                running.kill()
        self.triton.close()
        self.bank.close()
        self.broker.close()
