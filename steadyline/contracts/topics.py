"""The topic registry: every topic, who writes it, who reads it, its key and how it is kept."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Literal

CleanUp = Literal["delete", "compact"]

MAX_FRAME_BYTES = 8 << 20  # on topic, producer and consumer alike (steadyline doctor compares them)
MAX_DEAD_LETTER_BYTES = MAX_FRAME_BYTES + (1 << 16)  # the largest frame, and the headers that say why
MAX_REQUEST_BYTES = MAX_DEAD_LETTER_BYTES + (1 << 16)  # of any client: the largest message and its batch
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
FOR_EVER_MS = -1
# Kafka does not tell a user who may not see a topic from one who asks for a topic that is not there.
MAKE_TOPICS = (
    "run `steadyline topics create`; where it is there, this user may not see it: `steadyline topics acls`"
)


@dataclass(frozen=True, slots=True)
class Replication:
    """On how many brokers each partition lies, and how many of them must have a message that counts.

    None leaves both to the broker's defaults.
    """

    factor: int | None = None
    min_insync: int | None = None

    @property
    def config(self) -> dict[str, str]:
        """The settings of a topic on the broker that belong to it."""
        settings = {}
        if self.min_insync is not None:
            settings["min.insync.replicas"] = str(self.min_insync)
        if (self.factor or 1) > 1:
            # A replica that lacks acknowledged messages never leads: better no answer than lost frames.
            settings["unclean.leader.election.enable"] = "false"
        return settings


BROKERS_DEFAULTS = Replication()


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One topic. ``key`` says what is ordered; ``writers`` and ``readers`` name services and the core.

    ``message`` is the name of the kind of message that travels on it, see ``catalogue``. One partition stays
    one; several become as many as the line file says.
    """

    name: str
    message: str
    key: str
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    clean_up: CleanUp
    retention_ms: int
    partitions: int
    max_message_bytes: int = 1 << 20
    replication: Replication = BROKERS_DEFAULTS

    @property
    def config(self) -> dict[str, str]:
        """The topic's settings on the broker."""
        return {
            "cleanup.policy": self.clean_up,
            "retention.ms": str(self.retention_ms),
            "max.message.bytes": str(self.max_message_bytes),
            # Whatever a client compressed: the limit holds for what readers get, and no reader lacks a codec.
            "compression.type": "uncompressed",
            # A producer's clock decides neither whether a record is taken nor how long it is kept.
            "message.timestamp.type": "LogAppendTime",
            **self.replication.config,
        }


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics of one line; ``line_topics`` gives them the names and partitions of the line.

    A field with its topic is all that a new topic needs: everything else iterates over the fields.
    """

    frames: Topic = Topic(
        name="frames.v1",
        message="frame",
        key="camera",
        writers=("producers", "alerts", "steadyline"),  # the last two write refused frames back
        readers=("scorer", "producers", "alerts", "steadyline"),
        clean_up="delete",
        retention_ms=24 * HOUR_MS,
        partitions=8,
        max_message_bytes=MAX_FRAME_BYTES,
    )
    scores: Topic = Topic(
        name="scores.v1",
        message="score",
        key="camera",
        writers=("scorer",),
        readers=("alerts", "trainer", "steadyline"),
        clean_up="delete",
        retention_ms=14 * DAY_MS,
        partitions=8,
    )
    camera_status: Topic = Topic(
        name="camera-status.v1",
        message="camera-status",
        key="camera/epoch",
        writers=("producers",),
        readers=("alerts", "producers", "scorer", "trainer", "steadyline"),
        clean_up="compact",
        retention_ms=FOR_EVER_MS,
        partitions=1,
    )
    model_events: Topic = Topic(
        name="model-events.v1",
        message="model-event",
        key="product",
        writers=("trainer",),
        readers=("trainer", "scorer", "alerts", "steadyline"),
        clean_up="compact",
        retention_ms=FOR_EVER_MS,
        partitions=1,
        max_message_bytes=4 << 20,
    )
    model_commands: Topic = Topic(
        name="model-commands.v1",
        message="model-command",
        key="product",
        writers=("steadyline", "alerts"),
        readers=("trainer",),
        clean_up="delete",
        retention_ms=14 * DAY_MS,
        partitions=1,
    )
    dead_letters: Topic = Topic(
        name="dead-letters.v1",
        message="dead-letter",
        key="as the source",
        writers=("scorer", "alerts"),
        readers=("alerts", "steadyline"),
        clean_up="delete",
        retention_ms=30 * DAY_MS,
        partitions=8,
        max_message_bytes=MAX_DEAD_LETTER_BYTES,
    )
    alerts: Topic = Topic(
        name="alerts.v1",
        message="alert",
        key="incident",
        writers=("alerts",),
        readers=("trainer", "steadyline"),
        clean_up="delete",
        retention_ms=90 * DAY_MS,
        partitions=1,
    )
    feedback: Topic = Topic(
        name="feedback.v1",
        message="feedback",
        key="frame",
        writers=("alerts",),
        readers=("trainer", "steadyline"),
        clean_up="compact",
        retention_ms=FOR_EVER_MS,
        partitions=1,
    )

    def by_field(self) -> dict[str, Topic]:
        """Return field name → topic, in the order of the fields."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __iter__(self) -> Iterator[Topic]:
        return iter(self.by_field().values())


def doctor_topic(prefix: str) -> str:
    """Return the name of the topic on which `steadyline doctor` reads the broker's clock."""
    return f"{prefix}.doctor.v1"


def line_topics(prefix: str, partitions: int, replication: Replication = BROKERS_DEFAULTS) -> Topics:
    """Return the topics of a line: names with ``prefix``, camera-keyed topics with ``partitions`` partitions.

    Frames, scores and dead-letters have the same partition count, so that partition n of one follows
    partition n of the other and order per camera is kept.
    """

    def named(topic: Topic) -> Topic:
        count = partitions if topic.partitions > 1 else 1
        name = f"{prefix}.{topic.name}"
        return replace(topic, name=name, partitions=count, replication=replication)

    return Topics(**{field: named(topic) for field, topic in Topics().by_field().items()})


def shadowed_prefix(prefix: str) -> str | None:
    """Return why another line could take over the transactional ids of this one; None: it cannot.

    Transactional ids are ``<prefix>.scorer.<instance>`` and ``<prefix>.alerts.<instance>``, and the right to
    them is one to all that begin so.
    """
    for worker in ("scorer", "alerts"):
        above, found, _ = prefix.partition(f".{worker}.")
        if not found and prefix.endswith(f".{worker}"):
            above, found = prefix.removesuffix(f".{worker}"), worker
        if found:
            return (
                f"the transactional ids of a line {above} begin with {above}.{worker}., so its {worker} "
                f"could take over those of this line: choose a prefix without .{worker} in it"
            )
    return None
