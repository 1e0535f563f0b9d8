"""A line with real scorers as child processes, frames on its topic, and what its topics say in the end."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from steadyline.audit.gather import Scope, gather
from steadyline.contracts.camera_status import CameraStatus
from steadyline.contracts.frame import Frame, FrameId
from steadyline.contracts.score import Score
from steadyline.kafka.broker import Message, Record
from steadyline.kafka.client import KafkaBroker
from steadyline.line import load_line
from steadyline.picture import encode_png
from steadyline.servers import Addresses
from steadyline.settings import KafkaSettings, TritonSettings
from steadyline.store import Store
from steadyline.triton import TritonClient
from tests.support.eventually import eventually
from tests.support.models import Contrast, a_defective_picture, a_plain_picture, model_event, serve_version

EPOCH = 1_700_000_000_000_000_000
DEFECTIVE_EVERY = 5  # every fifth frame of ``send`` is defective


@dataclass
class RunningScorer:
    """One scorer process and its log."""

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

    def port(self) -> int:
        """Return the health port."""
        pattern = re.compile(r"health_server_started.*?\bport\W+(\d+)|\bport\W+(\d+).*health_server_started")
        found = eventually(lambda: pattern.search(self.text()), 20, f"a health port in {self.text()[-500:]}")
        assert found is not None
        return int(found[1] or found[2])

    def readiness(self) -> dict[str, str]:
        """Return what it waits for; empty when it is ready."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port()}/readyz", timeout=5) as answer:
                body = json.load(answer)
        except urllib.error.HTTPError as error:
            body = json.load(error)
        waiting: dict[str, str] = body["waiting_for"]
        return waiting

    def until_ready(self, within: float = 30.0) -> None:
        """Wait until it is ready."""
        eventually(lambda: not self.readiness(), within, f"ready; the log:\n{self.text()[-2000:]}")

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's series that have these labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port()}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        rows = [line for line in lines if re.match(rf"{name}[{{ ]", line)]
        return sum(float(row.rsplit(" ", 1)[1]) for row in rows if all(item in row for item in wanted))


@dataclass(frozen=True)
class Account:
    """What became of the frames sent: the accounting identity from the scorer's side."""

    sent: int
    scored: int
    dead_lettered: int
    missing: list[str]
    doubled: list[str]
    out_of_order: list[str]

    def assert_intact(self) -> None:
        """Check that every frame was scored or dead-lettered once, in order."""
        assert (self.missing, self.doubled, self.out_of_order) == ([], [], [])
        assert self.sent == self.scored + self.dead_lettered


@dataclass
class _Sent:
    """Frames sent so far, by id; the next sequence per camera."""

    ids: list[str] = field(default_factory=list)
    sequences: Counter[str] = field(default_factory=Counter)


class Floor:
    """A line file in ``home``, its topics, its model in Triton, and the scorers started for it."""

    def __init__(self, home: Path, addresses: Addresses, cameras: int = 4) -> None:
        self.home, self.addresses = home, addresses
        name = uuid.uuid4().hex[:8]
        self.product = f"part-{name}"
        self.cameras = [f"east-{number}" for number in range(cameras)]
        listed = "".join(
            f"  - {{id: {camera}, product: {self.product}, source: 'folder:.'}}\n" for camera in self.cameras
        )
        self.line_file = home / "line.yaml"
        self.line_file.write_text(
            f"line: test\ntopics: {{prefix: t{name}, partitions: 4}}\nstore: file://./store\n"
            f"products:\n  {self.product}:\n    picture: {{size: 32, max_bytes: 200000, "
            f"max_pixels: 1000000}}\n"
            f"    evidence_sample: 0.1\ncameras:\n{listed}"
        )
        self.line = load_line(self.line_file)
        self.topics = self.line.kafka_topics()
        self.store = Store(self.line.store)
        self.broker = KafkaBroker(KafkaSettings(bootstrap_servers=addresses.kafka_bootstrap), "test")
        self.broker.create_topics(list(self.topics))
        self.triton = TritonClient(
            TritonSettings.model_validate(
                {"url": addresses.triton_grpc, "admin_key": addresses.triton_admin_key}
            )
        )
        self._publisher = self.broker.publisher("test-frames")
        self._reader = self.broker.reader("test-scores")
        self._sent = _Sent()
        self._started: list[RunningScorer] = []
        self.records: list[Record] = []
        self.refused: list[Record] = []

    def serve(self, version: int, model: Contrast) -> None:
        """Serve a version beside the one before it."""
        serve_version(self.triton, Path(self.addresses.triton_repository), self.product, version, model)

    def announce(self, version: int, model: Contrast) -> None:
        """Say that ``version`` is live."""
        event = model_event(self.product, [model.event_model(version)], version)
        key = self.product.encode()
        headers = event.headers("test", self.product, event.at)
        self.write(Message(self.topics.model_events.name, key, event.encode(), headers))

    def start(self, instance: str, **environment: str) -> RunningScorer:
        """Start ``python -m scorer run``."""
        log = self.home / f"scorer-{len(self._started)}-{instance}.log"
        variables = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": self.addresses.kafka_bootstrap,
            "TRITON_URL": self.addresses.triton_grpc,
            "TRITON_TIMEOUT_SECONDS": "2",
            "SCORER_INSTANCE": instance,
            "SCORER_CANARY_SECONDS": "0.5",
            "SCORER_RETRY_LONGEST_SECONDS": "1",
            "STEADYLINE_LOG_FORMAT": "json",
            "OMP_NUM_THREADS": "1",
            **environment,
        }
        command = [sys.executable, "-P", "-m", "scorer", "run", "--line", str(self.line_file)]
        with log.open("wb") as output:
            process = subprocess.Popen(command, env=variables, cwd=self.home, stdout=output, stderr=output)
        running = RunningScorer(process, log)
        self._started.append(running)
        return running

    def send(self, count: int) -> None:
        """Send ``count`` frames, cameras in turn; every fifth of a camera is defective."""
        for number in range(count):
            camera = self.cameras[number % len(self.cameras)]
            sequence = self._sent.sequences[camera] + 1
            picture = a_defective_picture(32) if sequence % DEFECTIVE_EVERY == 0 else a_plain_picture(32)
            self.send_picture(camera, encode_png(picture))
        self.flush()

    def send_picture(self, camera: str, data: bytes, **headers: str) -> str:
        """Send one frame with these bytes; ``headers`` replace the true ones. Returns its id."""
        self._sent.sequences[camera] += 1
        identity = FrameId(camera, EPOCH, self._sent.sequences[camera])
        frame = Frame(identity, "test", self.product, datetime.now(UTC), "image/png", data)
        changed = tuple((name, headers.get(name, value.decode()).encode()) for name, value in frame.headers())
        self._sent.ids.append(str(identity))
        self._publisher.publish(
            Message(self.topics.frames.name, camera.encode(), data, changed), lambda error: None
        )
        return str(identity)

    def until_scored(self, count: int, within: float = 60.0) -> None:
        """Wait until ``count`` frames are accounted for."""
        eventually(lambda: self.read() >= count, within, f"{count} frames accounted for")

    def flush(self) -> None:
        """Wait until everything sent is on the topic."""
        assert self._publisher.flush(timedelta(seconds=30))

    def write(self, message: Message) -> None:
        """Write one message and wait for it."""
        self._publisher.publish(message, lambda error: None)
        self.flush()

    def read(self) -> int:
        """Read what has been scored and refused since; returns how many of both there are."""
        wait = timedelta(milliseconds=100)
        self.records.extend(self._reader.follow(self.topics.scores.name, wait))
        self.refused.extend(self._reader.follow(self.topics.dead_letters.name, wait))
        places = [(record.partition, record.offset) for record in self.records + self.refused]
        assert len(set(places)) == len(places), "the test's own reader gave a record twice"
        return len(places)

    def until_accounted(self, within: float = 60.0) -> Account:
        """Wait until as many frames are accounted for as were sent, then return the account."""
        sent = len(self._sent.ids)
        eventually(lambda: self.read() >= sent, within, f"{sent} frames accounted for")
        self.read()  # one more: a doubled one would come now
        return self.account()

    def scores(self) -> list[Score]:
        """Return the scores read so far."""
        return [Score.decode(record.value) for record in self.records]

    def account(self) -> Account:
        """Return the account of what was read so far."""
        scored = [score.frame for score in self.scores()]
        refused = [dict(record.headers)["ce_id"].decode() for record in self.refused]
        seen = Counter(scored + refused)
        last: dict[str, int] = {}
        out_of_order = []
        for identity in map(FrameId.parse, scored):
            if identity.sequence <= last.get(identity.camera, 0):
                out_of_order.append(str(identity))
            last[identity.camera] = identity.sequence
        return Account(
            sent=len(self._sent.ids),
            scored=len(scored),
            dead_lettered=len(refused),
            missing=sorted(set(self._sent.ids) - seen.keys()),
            doubled=sorted(name for name, count in seen.items() if count > 1),
            out_of_order=out_of_order,
        )

    def assert_audit_intact(self) -> None:
        """Publish each camera's final account, and let the audit prove it from the topics alone."""
        for camera, count in self._sent.sequences.items():
            status = CameraStatus(
                camera=camera, product=self.product, epoch=EPOCH, at=datetime.now(UTC), state="ended",
                reason="ended", sequence=count, captured=count, published=count, pending=0,
            )  # fmt: skip
            key = f"{camera}/{EPOCH}"
            headers = status.headers("test", key, status.at)
            self.write(Message(self.topics.camera_status.name, key.encode(), status.encode(), headers))
        gathered = gather(self.broker, self.topics, Scope(f"{self.line.topics.prefix}.scorer"))
        accounts = gathered.accounts()
        assert len(accounts) == len(self._sent.sequences)
        assert [account for account in accounts if not account.is_intact or account.in_flight] == []

    def assert_scores_true(self, gains: dict[int, float]) -> None:
        """Check each score against the version that it names: score, threshold, verdict, evidence."""
        for score in self.scores():
            gain = gains[score.model_version]
            is_defective = FrameId.parse(score.frame).sequence % DEFECTIVE_EVERY == 0
            assert np.isclose(score.score, 0.5 * gain if is_defective else 0.0, atol=1e-4)
            assert np.isclose(score.threshold, 0.2 * gain)
            assert score.verdict == ("anomalous" if is_defective else "normal")
            assert score.p_value == (0.01 if is_defective else 1.0)
            if is_defective:
                assert (score.peak.x, score.peak.y) == (0.125, 0.125)
                assert self.store.exists(score.picture_uri or "")
                assert self.store.exists(score.map_uri or "")

    def close(self) -> None:
        """End what still runs."""
        for running in self._started:
            if running.process.poll() is None:
                running.kill()
        self._publisher.close()
        self._reader.close()
        self.triton.close()
        self.broker.close()
