"""A line with a model in service, frames on its topic, and what its topics say of them in the end."""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.serializer import Serializer
from typing_extensions import override

from steadyline.contracts.camera_status import CameraStatus
from steadyline.contracts.frame import Frame, FrameId
from steadyline.contracts.headers import Headers, encode_headers
from steadyline.contracts.score import Score
from steadyline.contracts.topics import Topic
from steadyline.errors import InferenceUnavailable
from steadyline.kafka.broker import Message, Record
from steadyline.kafka.dead_letters.letter import read_letter
from steadyline.map_png import decode_map, glow_of
from steadyline.ops.audit.gather import Scope, gather
from steadyline.ops.audit.report import Audit
from steadyline.picture import encode_png
from steadyline.servers import Addresses
from tests.support.eventually import eventually
from tests.support.line_under_test import LineUnderTest
from tests.support.models import Contrast, a_defective_picture, a_plain_picture, model_event, serve_version
from tests.support.service_process import ServiceProcess

EPOCH = 1_700_000_000_000_000_000
DEFECTIVE_EVERY = 5  # every fifth frame of ``send`` is defective
CAMERAS = ("east-0", "east-1", "east-6", "east-7")  # their keys fall to partitions 2, 0, 1 and 3


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


class _Nothing(Serializer):
    """No bytes become no value: other clients write that without a key, ours only by this trick."""

    @override
    def serialize(self, topic: str, headers: list[tuple[str, bytes]], data: bytes) -> bytes | None:
        return data or None


@dataclass
class _Sent:
    """Frames sent so far, by id; the last sequence per camera; messages that name no frame."""

    ids: list[str] = field(default_factory=list)
    sequences: Counter[str] = field(default_factory=Counter)
    strangers: int = 0


class ScorerLine(LineUnderTest):
    """A line of four cameras and one product, its topics, its model in Triton, and the frames sent to it.

    ``source`` is what every camera reads, for tests that start real producers.
    """

    def __init__(
        self, home: Path, addresses: Addresses, source: str = "folder:.", when_behind: str = "drop_oldest"
    ) -> None:
        super().__init__(home, addresses)
        self.product = f"part-{self.name}"
        self.cameras = CAMERAS
        what = f"product: {self.product}, source: '{source}', when_behind: {when_behind}"
        listed = "".join(f"  - {{id: {camera}, {what}}}\n" for camera in self.cameras)
        self.write_line(
            f"line: test\ntopics: {{prefix: {self.name}, partitions: 4}}\nstore: file://./store\n"
            f"products:\n  {self.product}:\n    picture: {{size: 32, max_bytes: 200000, "
            f"max_pixels: 1000000}}\n"
            f"    evidence_sample: 0.1\ncameras:\n{listed}"
        )
        self.create_topics()
        outputs = [self.topics.scores.name, self.topics.dead_letters.name]
        self._follower = self.broker.follower("test-scores", outputs)
        self._sent = _Sent()
        self.records: list[Record] = []
        self.refused: list[Record] = []

    def serve(self, version: int, model: Contrast) -> None:
        """Serve a version beside the one before it."""
        serve_version(self.triton, Path(self.addresses.triton_repository), self.product, version, model)

    def announce(self, version: int, model: Contrast) -> None:
        """Say that ``version`` is live."""
        self.say(model_event(self.product, [model.event_model(version)], version))

    def put_in_service(self, version: int = 1) -> None:
        """Serve a version whose gain is its number, and say that it is live."""
        model = Contrast(gain=version)
        self.serve(version, model)
        self.announce(version, model)

    def start(self, instance: str, **environment: str) -> ServiceProcess:
        """Start ``python -m scorer run``."""
        ours = {
            "TRITON_TIMEOUT_SECONDS": "2",
            "SCORER_INSTANCE": instance,
            "SCORER_CANARY_SECONDS": "0.5",
            "SCORER_RETRY_LONGEST_SECONDS": "1",
        }
        return self.start_service("scorer", name=instance, environment={**ours, **environment})

    def start_producers(self, **environment: str) -> ServiceProcess:
        """Start ``python -m producers run``: every camera of the line in one process."""
        ours = {"PRODUCERS_STATE": str(self.home / "producers"), "PRODUCERS_STATUS_SECONDS": "0.5"}
        return self.start_service("producers", environment={**ours, **environment})

    def send(self, count: int) -> None:
        """Send ``count`` frames, cameras in turn; every fifth of a camera is defective."""
        for number in range(count):
            camera = self.cameras[number % len(self.cameras)]
            sequence = self._sent.sequences[camera] + 1
            picture = a_defective_picture(32) if sequence % DEFECTIVE_EVERY == 0 else a_plain_picture(32)
            self.send_picture(camera, encode_png(picture))
        self.flush()

    def send_picture(self, camera: str, data: bytes, headers: Mapping[str, str | None] | None = None) -> str:
        """Send one frame with these bytes; returns its id.

        ``headers`` replace the true ones; None takes one away.
        """
        message = self._frame(camera, data, headers or {})
        self.publish(message)
        return self._sent.ids[-1]

    def send_under(self, key: bytes, camera: str, data: bytes) -> str:
        """Send a frame whose key is not its camera; returns its id."""
        self.publish(replace(self._frame(camera, data, {}), key=key))
        return self._sent.ids[-1]

    def send_compressed(self, camera: str, data: bytes) -> str:
        """Send a frame as a foreign client may: what its producer weighs is the compressed message."""
        message = self._frame(camera, data, {})
        producer: Any = KafkaProducer(
            bootstrap_servers=self.addresses.kafka_bootstrap,
            compression_type="gzip",
            max_request_size=(1 << 20) + 2 * len(data),
        )
        try:
            producer.send(message.topic, message.value, message.key, list(message.headers)).get(20)
        finally:
            producer.close()
        return self._sent.ids[-1]

    def set_topic(self, topic: Topic, **settings: str) -> None:
        """Change settings of a topic on the broker."""
        admin = KafkaAdminClient(bootstrap_servers=self.addresses.kafka_bootstrap)
        named = {name.replace("_", "."): value for name, value in settings.items()}
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, named)])
        admin.close()

    def _frame(self, camera: str, data: bytes, headers: Mapping[str, str | None]) -> Message:
        """Return the camera's next frame, and note that it was sent."""
        self._sent.sequences[camera] += 1
        identity = FrameId(camera, EPOCH, self._sent.sequences[camera])
        self._sent.ids.append(str(identity))
        frame = Frame(identity, "test", self.product, datetime.now(UTC), "image/png", data)
        changed = {**{name: value.decode() for name, value in frame.headers()}, **headers}
        return Message(self.topics.frames.name, camera.encode(), data, encode_headers(changed))

    def send_stranger(self, data: bytes | None, headers: Headers) -> None:
        """Send, without a key, what names no frame; it counts as a dead letter to come."""
        self._sent.strangers += 1
        producer: Any = KafkaProducer(
            bootstrap_servers=self.addresses.kafka_bootstrap, value_serializer=_Nothing()
        )
        producer.send(self.topics.frames.name, value=data or b"", headers=list(headers)).get(20)
        producer.close()

    def until_scored(self, count: int, within: float = 60.0) -> None:
        """Wait until ``count`` frames are accounted for."""
        eventually(lambda: self.read() >= count, within, f"{count} frames accounted for")

    def read(self) -> int:
        """Read what has been scored and refused since; returns how many of both there are."""
        for record in self._follower.poll(timedelta(milliseconds=100)):
            is_score = record.partition.topic == self.topics.scores.name
            (self.records if is_score else self.refused).append(record)
        places = [(record.partition, record.offset) for record in self.records + self.refused]
        assert len(set(places)) == len(places), "the test's own reader gave a record twice"
        return len(places)

    def until_accounted(self, within: float = 60.0) -> Account:
        """Wait until as many frames are accounted for as were sent, then return the account."""
        sent = len(self._sent.ids) + self._sent.strangers
        eventually(lambda: self.read() >= sent, within, f"{sent} frames accounted for")
        self.read()  # one more: a doubled one would come now
        return self.account()

    def scores(self) -> list[Score]:
        """Return the scores read so far."""
        return [Score.decode(record.value) for record in self.records]

    @staticmethod
    def frame_of(letter: Record) -> str:
        """Return the frame that a dead letter names; empty when it names none."""
        return str(read_letter(letter).frame or "")

    def account(self) -> Account:
        """Return the account of what was read so far."""
        scored = [score.frame for score in self.scores()]
        refused = list(filter(None, map(self.frame_of, self.refused)))
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

    def assert_audit_intact(self, in_flight: int | None = 0, strangers: int = 0) -> dict[str, int]:
        """Publish each camera's final account, and let the audit prove it from the topics alone; its totals.

        ``in_flight`` frames wait on the topic (None: some), ``strangers`` of the dead letters name no frame.
        """
        for camera, count in self._sent.sequences.items():
            status = CameraStatus(
                camera=camera, product=self.product, epoch=EPOCH, at=datetime.now(UTC), state="ended",
                reason="ended", sequence=count, captured=count, published=count, pending=0,
            )  # fmt: skip
            key = f"{camera}/{EPOCH}"
            headers = status.headers("test", key, status.at)
            self.write(Message(self.topics.camera_status.name, key.encode(), status.encode(), headers))
        audit = Audit.of(gather(self.broker, self.topics, Scope(f"{self.line.topics.prefix}.scorer")))
        assert [account for account in audit.accounts if not account.is_intact] == []
        assert audit.is_intact
        totals = audit.totals()
        assert len(audit.accounts) == len(self._sent.sequences)
        assert totals["captured"] == len(self._sent.ids)
        assert totals["in_flight"] == in_flight if in_flight is not None else totals["in_flight"] > 0
        assert audit.nameless_letters == strangers
        return totals

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
                kept = self.store.get(score.map_uri or "")
                assert np.isclose(decode_map(kept).max(), score.peak.value, rtol=0.05)
                assert glow_of(kept).max() > 0

    @override
    def close(self) -> None:
        """End what still runs, the model's process in Triton too."""
        with suppress(InferenceUnavailable):
            self.triton.unload(self.product)
        self._follower.close()
        super().close()
