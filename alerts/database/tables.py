"""Every table. A text of JSON holds what only our own code reads; what is searched has a column."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from typing_extensions import override

ID = String(32)
NAME = String(200)
# SQLite counts rows up only for a column that is INTEGER to the letter.
ROW_NUMBER = BigInteger().with_variant(Integer, "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """A moment with its zone on the way in, in UTC on the way out; SQLite itself knows no zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    @override
    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """What Alembic compares the database with."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UtcDateTime}


class OffsetRow(Base):
    """How far one partition has been taken into the database; changes with what was made of it."""

    __tablename__ = "offsets"

    topic: Mapped[str] = mapped_column(String(249), primary_key=True)
    partition: Mapped[int] = mapped_column(Integer, primary_key=True)
    topic_id: Mapped[str] = mapped_column(String(64))  # a topic that was made anew begins at 0 again
    next: Mapped[int] = mapped_column(BigInteger)


class RuleStateRow(Base):
    """What the rules remember of one scope: ``scores/<camera>``, ``status/<camera>``, ``model/<product>``.

    Whoever changes an incident of the scope, a person too, locks its row first.
    """

    __tablename__ = "rule_states"

    scope: Mapped[str] = mapped_column(NAME, primary_key=True)
    content: Mapped[str] = mapped_column(Text)  # empty until the first transaction of the scope is done
    # Where its newest record came from: whoever has that partition lets time pass for the scope.
    topic: Mapped[str] = mapped_column(String(249))
    partition: Mapped[int] = mapped_column(Integer)


class LimitRow(Base):
    """The one row of the line's notification limit.

    Whoever writes changes locks it first, so that the numbers of ``changes`` follow the order of the commits.
    """

    __tablename__ = "notification_limit"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    content: Mapped[str] = mapped_column(Text)


class IncidentRow(Base):
    """An incident as it stands; ``content`` is the whole ``Incident``."""

    __tablename__ = "incidents"
    __table_args__ = (
        Index("incidents_by_state", "state", "opened_at"),
        Index("incidents_by_opening", "opened_at", "id"),
        Index("incidents_of_scope", "scope", "state"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    scope: Mapped[str] = mapped_column(NAME)
    kind: Mapped[str] = mapped_column(String(64))
    camera: Mapped[str | None] = mapped_column(String(64))
    product: Mapped[str | None] = mapped_column(String(64))
    severity: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    sequence: Mapped[int] = mapped_column(Integer)
    opened_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]
    content: Mapped[str] = mapped_column(Text)


class ChangeRow(Base):
    """One change that is told; ``content`` is the ``Alert``. ``id`` is the cursor of every reader."""

    __tablename__ = "changes"
    __table_args__ = (UniqueConstraint("incident", "sequence"),)

    id: Mapped[int] = mapped_column(ROW_NUMBER, primary_key=True, autoincrement=True)
    incident: Mapped[str] = mapped_column(ID, ForeignKey("incidents.id"))
    sequence: Mapped[int] = mapped_column(Integer)
    change: Mapped[str] = mapped_column(String(16))
    at: Mapped[datetime] = mapped_column(index=True)
    written_at: Mapped[datetime]
    who: Mapped[str | None] = mapped_column(NAME)
    notify: Mapped[bool] = mapped_column(Boolean)
    held_by: Mapped[str | None] = mapped_column(String(16))  # why it does not notify: a fixed word
    told_after: Mapped[str | None] = mapped_column(ID)  # the window at whose end its summary told of it
    traceparent: Mapped[str | None] = mapped_column(String(64))
    content: Mapped[str] = mapped_column(Text)


class WindowRow(Base):
    """A maintenance window; ``plan`` is JSON: when it is, and what it holds."""

    __tablename__ = "windows"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    name: Mapped[str] = mapped_column(NAME)
    owner: Mapped[str] = mapped_column(NAME)
    plan: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(Integer)  # the ETag: counts up with each edit
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]  # when somebody last ended an occurrence early


class WindowEndRow(Base):
    """An occurrence of a window that is over and of which the summary is out; written with the summary."""

    __tablename__ = "window_ends"

    window: Mapped[str] = mapped_column(ID, ForeignKey("windows.id", ondelete="CASCADE"), primary_key=True)
    begin: Mapped[datetime] = mapped_column(primary_key=True)
    noted_at: Mapped[datetime]
    incidents: Mapped[int] = mapped_column(Integer)  # how many still stood


class SubscriptionRow(Base):
    """Who is told of what, and through which channel; ``filter``, ``channel`` and ``digest`` are JSON."""

    __tablename__ = "subscriptions"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    name: Mapped[str] = mapped_column(NAME)
    owner: Mapped[str] = mapped_column(NAME)
    enabled: Mapped[bool] = mapped_column(Boolean)
    filter: Mapped[str] = mapped_column(Text)
    channel: Mapped[str] = mapped_column(Text)
    secret: Mapped[str] = mapped_column(Text)  # shown once; needed to sign each delivery
    version: Mapped[int] = mapped_column(Integer)  # the ETag: counts up with each edit
    created_at: Mapped[datetime]
    digest: Mapped[str | None] = mapped_column(Text)  # the rule; null: it is told at once
    digest_since: Mapped[datetime | None]  # when the span began that the next digest tells of


class CollectedRow(Base):
    """A change that waits for the next digest of a subscription."""

    __tablename__ = "collected"

    subscription: Mapped[str] = mapped_column(
        ID, ForeignKey("subscriptions.id", ondelete="CASCADE"), primary_key=True
    )
    change: Mapped[int] = mapped_column(
        ROW_NUMBER, ForeignKey("changes.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    at: Mapped[datetime]  # when it was collected


class DigestRow(Base):
    """Several alerts that are told together; ``content`` is the ``AlertDigest``."""

    __tablename__ = "digests"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    content: Mapped[str] = mapped_column(Text)


class DeliveryRow(Base):
    """The outbox: one change, or one digest, on its way to one subscription.

    ``id`` is stable over all attempts. ``chain`` and ``step`` say that it is an escalation.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        Index("deliveries_in_order", "subscription", "incident", "state", "change"),
        Index("deliveries_waiting", "subscription", "state", "change"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    subscription: Mapped[str] = mapped_column(ID, ForeignKey("subscriptions.id", ondelete="CASCADE"))
    change: Mapped[int | None] = mapped_column(ROW_NUMBER, ForeignKey("changes.id"))  # null: a digest
    incident: Mapped[str | None] = mapped_column(ID)
    digest: Mapped[str | None] = mapped_column(ID, ForeignKey("digests.id"))
    chain: Mapped[str | None] = mapped_column(NAME)
    step: Mapped[int | None] = mapped_column(Integer)  # from 1
    state: Mapped[str] = mapped_column(String(16))  # pending, delivered, dead
    attempts: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime]
    next_at: Mapped[datetime]
    deadline: Mapped[datetime]
    claimed_by: Mapped[str | None] = mapped_column(NAME)
    claimed_until: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    last_status: Mapped[int | None] = mapped_column(Integer)
    last_reason: Mapped[str | None] = mapped_column(String(64))  # a fixed word
    last_error: Mapped[str | None] = mapped_column(Text)
    last_milliseconds: Mapped[int | None] = mapped_column(Integer)
    answer_head: Mapped[str | None] = mapped_column(Text)


class ChainRow(Base):
    """An escalation chain; ``filter`` and ``steps`` are JSON."""

    __tablename__ = "escalation_chains"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    name: Mapped[str] = mapped_column(NAME)
    owner: Mapped[str] = mapped_column(NAME)
    enabled: Mapped[bool] = mapped_column(Boolean)
    filter: Mapped[str] = mapped_column(Text)
    steps: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(Integer)  # the ETag: counts up with each edit
    created_at: Mapped[datetime]


class EscalationRow(Base):
    """An incident that nobody has taken, on its way through a chain."""

    __tablename__ = "escalations"
    __table_args__ = (Index("escalations_due", "due_at"),)

    incident: Mapped[str] = mapped_column(
        ID, ForeignKey("incidents.id", ondelete="CASCADE"), primary_key=True
    )
    chain: Mapped[str] = mapped_column(
        ID, ForeignKey("escalation_chains.id", ondelete="CASCADE"), primary_key=True
    )
    sequence: Mapped[int] = mapped_column(Integer)  # of the change that began it
    started_at: Mapped[datetime]
    step: Mapped[int] = mapped_column(Integer)  # the next one, from 1
    due_at: Mapped[datetime]


class PublishedRow(Base):
    """How far the changes have been written to a topic, and which process writes them at present."""

    __tablename__ = "published"

    topic: Mapped[str] = mapped_column(String(249), primary_key=True)
    change: Mapped[int] = mapped_column(BigInteger)  # the last one that the broker has acknowledged
    holder: Mapped[str | None] = mapped_column(NAME)
    held_until: Mapped[datetime | None]


class LineWatchRow(Base):
    """Which process measures the line at present, and how far its dead letters have been counted."""

    __tablename__ = "line_watch"

    line: Mapped[str] = mapped_column(NAME, primary_key=True)
    holder: Mapped[str | None] = mapped_column(NAME)
    held_until: Mapped[datetime | None]
    topic_id: Mapped[str] = mapped_column(String(64))  # of the dead letters; empty until they were looked at
    positions: Mapped[str] = mapped_column(Text)  # JSON: partition → next offset; empty like it


class TokenRow(Base):
    """An API token: only its SHA-256 is kept."""

    __tablename__ = "tokens"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    name: Mapped[str] = mapped_column(NAME)
    role: Mapped[str] = mapped_column(String(16))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class AuditRow(Base):
    """Who did what, when, to what."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(ROW_NUMBER, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(index=True)
    who: Mapped[str] = mapped_column(NAME)
    act: Mapped[str] = mapped_column(String(64))
    target: Mapped[str] = mapped_column(NAME)
    detail: Mapped[str] = mapped_column(Text)


class FeedbackRow(Base):
    """The newest label of each frame, as it was sent to the topic of labels."""

    __tablename__ = "feedback"

    frame: Mapped[str] = mapped_column(NAME, primary_key=True)
    camera: Mapped[str] = mapped_column(String(64))
    product: Mapped[str] = mapped_column(String(64))
    label: Mapped[str] = mapped_column(String(16))
    at: Mapped[datetime] = mapped_column(index=True)
    content: Mapped[str] = mapped_column(Text)


class RuleVersionRow(Base):
    """Rules that a process has started with; ``content`` is the ``RuleSet`` as a line file has it."""

    __tablename__ = "rule_versions"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    first_at: Mapped[datetime] = mapped_column(index=True)
    last_at: Mapped[datetime]  # of the last start with them
    content: Mapped[str] = mapped_column(Text)


class RepeatRow(Base):
    """What a request with an Idempotency-Key was answered, without any secret."""

    __tablename__ = "repeats"

    who: Mapped[str] = mapped_column(NAME, primary_key=True)
    key: Mapped[str] = mapped_column(String(128), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))  # of method, path and body
    at: Mapped[datetime] = mapped_column(index=True)
    status: Mapped[int] = mapped_column(Integer)
    content: Mapped[str] = mapped_column(Text)


class EvidenceRow(Base):
    """A frame whose evidence is in the store; written with its score, removed after the evidence is."""

    __tablename__ = "evidence"
    __table_args__ = (Index("evidence_by_age", "verdict", "at"),)

    folder: Mapped[str] = mapped_column(String(512), primary_key=True)  # of its files, as a key of the store
    camera: Mapped[str] = mapped_column(String(64))
    product: Mapped[str] = mapped_column(String(64))
    frame: Mapped[str] = mapped_column(NAME)
    verdict: Mapped[str] = mapped_column(String(16))
    at: Mapped[datetime]  # when the score was taken, by our clock: what a frame says of itself may be old


class LastScoreRow(Base):
    """The newest score of each camera, and how many its present epoch has; ``content`` is a ``LastScore``."""

    __tablename__ = "last_scores"

    camera: Mapped[str] = mapped_column(String(64), primary_key=True)
    epoch: Mapped[int] = mapped_column(BigInteger)
    sequence: Mapped[int] = mapped_column(BigInteger)
    scored: Mapped[int] = mapped_column(BigInteger)
    content: Mapped[str] = mapped_column(Text)
    picture: Mapped[str | None] = mapped_column(Text)  # the newest one that was kept, a ``KeptPicture``


class LastStatusRow(Base):
    """The newest status of each camera; ``content`` is the ``CameraStatus`` without its runs."""

    __tablename__ = "last_statuses"

    camera: Mapped[str] = mapped_column(String(64), primary_key=True)
    epoch: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime]
    content: Mapped[str] = mapped_column(Text)


class LastModelsRow(Base):
    """The newest believed event of each product's models; ``content`` is a ``SeenModels``."""

    __tablename__ = "last_models"

    product: Mapped[str] = mapped_column(String(64), primary_key=True)
    commands_until: Mapped[int] = mapped_column(BigInteger)
    content: Mapped[str] = mapped_column(Text)


class ModelOrderRow(Base):
    """An order to the trainer that was given through the API; ``content`` is the ``ModelOrder``."""

    __tablename__ = "model_orders"
    __table_args__ = (Index("model_orders_of_product", "product", "at", "id"),)

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    product: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]
    place: Mapped[int | None] = mapped_column(BigInteger)  # offset; none while no broker has acknowledged it
    content: Mapped[str] = mapped_column(Text)
