"""A line with real producers as child processes, and what its topics say of them."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from steadyline.contracts.camera_status import CameraStatus
from steadyline.contracts.frame import Frame
from steadyline.contracts.topics import Topics
from steadyline.errors import BrokerUnavailable
from steadyline.kafka.broker import Record
from steadyline.kafka.client import KafkaBroker
from steadyline.line import load_line
from steadyline.settings import KafkaSettings
from tests.support.eventually import eventually


@dataclass
class RunningProducers:
    """One producers process and its log."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def stop(self, within: float = 40.0) -> int:
        """End it by SIGTERM; returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(within)

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.process.kill()
        self.process.wait()

    def wait(self, within: float = 40.0) -> int:
        """Wait for its end; returns its exit status."""
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"still running; the log:\n{self.text()[-3000:]}") from None

    def text(self) -> str:
        """Return the log so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")


class ProducersLine:
    """A line file in ``home``, its topics on ``bootstrap``, and the processes started for it."""

    def __init__(self, home: Path, bootstrap: str) -> None:
        self.home = home
        self.state = home / "state"
        self._bootstrap = bootstrap
        self._prefix = f"t{uuid.uuid4().hex[:8]}"
        self._started: list[RunningProducers] = []
        self.broker = KafkaBroker(KafkaSettings(bootstrap_servers=bootstrap), "test")
        self._reader = self.broker.reader("test")

    def describe(self, cameras: str, product: str = "{}") -> None:
        """Write the line file: ``cameras`` as the lines of a YAML list."""
        lines = "".join(f"  - {{{camera.strip()}}}\n" for camera in cameras.strip().splitlines())
        head = (
            f"line: test\ntopics: {{prefix: {self._prefix}, partitions: 2}}\nproducts: {{part: {product}}}\n"
        )
        (self.home / "line.yaml").write_text(f"{head}cameras:\n{lines}")

    def create_topics(self) -> None:
        """Create the line's topics."""
        self.broker.create_topics(list(self.topics))

    @property
    def topics(self) -> Topics:
        """The topics of the line."""
        return load_line(self.home / "line.yaml").kafka_topics()

    def start(self, *options: str, **environment: str) -> RunningProducers:
        """Start ``python -m producers run``."""
        log = self.home / f"producers-{len(self._started)}.log"
        variables: Mapping[str, str] = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": self._bootstrap,
            "PRODUCERS_STATE": str(self.state),
            "PRODUCERS_STATUS_SECONDS": "0.3",
            "PRODUCERS_QUALITY_SECONDS": "0.1",
            **environment,
        }
        command = [sys.executable, "-P", "-m", "producers", "run", "--line", str(self.home / "line.yaml")]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, *options], env=variables, cwd=self.home, stdout=output, stderr=output
            )
        running = RunningProducers(process, log)
        self._started.append(running)
        return running

    def frames(self) -> list[Frame]:
        """Return every published frame, in order per camera."""
        return [Frame.decode(item.value, item.headers) for item in self._read(self.topics.frames.name)]

    def statuses(self) -> list[CameraStatus]:
        """Return every status ever sent, in order."""
        return [CameraStatus.decode(item.value) for item in self._read(self.topics.camera_status.name)]

    def _read(self, topic: str) -> list[Record]:
        """Read a topic to its end; a broker that is just coming back is asked again."""

        def tried() -> tuple[list[Record]] | None:
            try:
                return (list(self._reader.read(topic)),)
            except BrokerUnavailable:
                return None

        found = eventually(tried, 60, f"{topic} can be read")
        assert found is not None
        return found[0]

    def latest(self, camera: str) -> list[CameraStatus]:
        """Return the newest status of each epoch of ``camera``, oldest epoch first."""
        newest = {status.epoch: status for status in self.statuses() if status.camera == camera}
        return [newest[epoch] for epoch in sorted(newest)]

    def eventually_status(self, camera: str, within: float = 15.0, **wanted: object) -> CameraStatus:
        """Wait for a status of ``camera`` with these fields."""

        def found() -> CameraStatus | None:
            for status in self.statuses():
                if status.camera == camera and all(getattr(status, k) == v for k, v in wanted.items()):
                    return status
            return None

        status = eventually(found, within, f"a status of {camera} with {wanted}")
        assert status is not None
        return status

    def assert_accounts_closed(self, camera: str) -> list[CameraStatus]:
        """Check each epoch of ``camera`` against the frames on the topic; returns the final statuses."""
        frames = [frame for frame in self.frames() if frame.id.camera == camera]
        order = [(frame.id.epoch, frame.id.sequence) for frame in frames]
        assert order == sorted(set(order)), "frames are doubled or out of order"
        for status in self.statuses():
            assert status.captured == status.published + sum(status.dropped.values()) + status.pending
        finals = self.latest(camera)
        for final in finals:
            there = {sequence for epoch, sequence in order if epoch == final.epoch}
            gone = {n for first, last, _ in final.dropped_sequences for n in range(first, last + 1)}
            assert final.state == "ended"
            assert final.pending == 0
            assert there | gone == set(range(1, final.captured + 1))
            assert not there & gone
            assert final.published == len(there)
        assert {epoch for epoch, _ in order} <= {final.epoch for final in finals}
        assert not [path for path in (self.state / camera).iterdir() if path.is_dir()], "open accounts"
        return finals

    def state_of(self, camera: str) -> str:
        """Return the account on disk of the newest epoch of ``camera``; empty when there is none."""
        accounts = sorted((self.state / camera).glob("*/account.json"))
        return accounts[-1].read_text() if accounts else ""

    def close(self) -> None:
        """End what still runs."""
        for running in self._started:
            if running.process.poll() is None:
                running.kill()
        self._reader.close()
        self.broker.close()
