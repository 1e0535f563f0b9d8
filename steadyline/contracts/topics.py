"""The topic registry: every topic, who writes it, who reads it, its key and how it is kept."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

CleanUp = Literal["delete", "compact"]

MAX_FRAME_BYTES = 8 << 20  # on topic, producer and consumer alike (steadyline doctor compares them)
MAX_DEAD_LETTER_BYTES = MAX_FRAME_BYTES + (1 << 16)  # the largest frame, and the headers that say why
MAX_REQUEST_BYTES = MAX_DEAD_LETTER_BYTES + (1 << 16)  # of any client: the largest message and its batch
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. ``name`` carries the prefix; ``key`` says what is ordered."""

    name: str
    key: str
    value: str
    writer: str
    readers: tuple[str, ...]
    clean_up: CleanUp
    retention_ms: int
    partitions: int
    max_message_bytes: int = 1 << 20

    @property
    def config(self) -> dict[str, str]:
        """The topic's settings on the broker."""
        return {
            "cleanup.policy": self.clean_up,
            "retention.ms": str(self.retention_ms),
            "max.message.bytes": str(self.max_message_bytes),
            # Whatever a client compressed: the limit holds for what readers get, and no reader lacks a codec.
            "compression.type": "uncompressed",
        }


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics of one line."""

    frames: Topic
    scores: Topic
    camera_status: Topic
    model_events: Topic
    model_commands: Topic
    dead_letters: Topic

    def __iter__(self) -> Iterator[Topic]:
        return iter(
            (
                self.frames,
                self.scores,
                self.camera_status,
                self.model_events,
                self.model_commands,
                self.dead_letters,
            )
        )


_FRAMES = Topic(
    "frames.v1",
    "camera",
    "Frame (JPEG or PNG bytes, metadata in headers)",
    "producers",
    ("scorer", "producers", "steadyline"),
    "delete",
    24 * HOUR_MS,
    8,
    MAX_FRAME_BYTES,
)
_SCORES = Topic(
    "scores.v1", "camera", "Score", "scorer", ("alerts", "trainer", "steadyline"), "delete", 14 * DAY_MS, 8
)
_CAMERA_STATUS = Topic(
    "camera-status.v1",
    "camera/epoch",
    "CameraStatus",
    "producers",
    ("alerts", "steadyline"),
    "compact",
    -1,
    1,
)
_MODEL_EVENTS = Topic(
    "model-events.v1",
    "product",
    "ModelEvent",
    "trainer",
    ("trainer", "scorer", "alerts", "steadyline"),
    "compact",
    -1,
    1,
    4 << 20,
)
_MODEL_COMMANDS = Topic(
    "model-commands.v1", "product", "ModelCommand", "steadyline", ("trainer",), "delete", 14 * DAY_MS, 1
)
_DEAD_LETTERS = Topic(
    "dead-letters.v1",
    "as the source",
    "the refused bytes, untouched",
    "scorer",
    ("steadyline",),
    "delete",
    30 * DAY_MS,
    8,
    MAX_DEAD_LETTER_BYTES,
)


def line_topics(prefix: str, partitions: int) -> Topics:
    """Return the topics of a line: names with ``prefix``, camera-keyed topics with ``partitions`` partitions.

    Frames, scores and dead-letters have the same partition count, so that partition n of one follows
    partition n of the other and order per camera is kept.
    """

    def named(topic: Topic) -> Topic:
        count = partitions if topic.partitions > 1 else 1
        return replace(topic, name=f"{prefix}.{topic.name}", partitions=count)

    return Topics(
        named(_FRAMES),
        named(_SCORES),
        named(_CAMERA_STATUS),
        named(_MODEL_EVENTS),
        named(_MODEL_COMMANDS),
        named(_DEAD_LETTERS),
    )
