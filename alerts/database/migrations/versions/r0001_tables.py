"""Make the first tables."""

import sqlalchemy as sa
from alembic import op

revision = "r0001_tables"
down_revision = None

TABLES = sa.MetaData()

sa.Table(
    "audit",
    TABLES,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("who", sa.String(length=200), nullable=False),
    sa.Column("act", sa.String(length=64), nullable=False),
    sa.Column("target", sa.String(length=200), nullable=False),
    sa.Column("detail", sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint("id"),
    sa.Index("ix_audit_at", "at"),
)
sa.Table(
    "digests",
    TABLES,
    sa.Column("id", sa.String(length=32), nullable=False),
    sa.Column("content", sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint("id"),
)
sa.Table(
    "escalation_chains",
    TABLES,
    sa.Column("id", sa.String(length=32), nullable=False),
    sa.Column("name", sa.String(length=200), nullable=False),
    sa.Column("owner", sa.String(length=200), nullable=False),
    sa.Column("enabled", sa.Boolean(), nullable=False),
    sa.Column("filter", sa.Text(), nullable=False),
    sa.Column("steps", sa.Text(), nullable=False),
    sa.Column("version", sa.Integer(), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint("id"),
)
sa.Table(
    "evidence",
    TABLES,
    sa.Column("folder", sa.String(length=512), nullable=False),
    sa.Column("camera", sa.String(length=64), nullable=False),
    sa.Column("product", sa.String(length=64), nullable=False),
    sa.Column("frame", sa.String(length=200), nullable=False),
    sa.Column("verdict", sa.String(length=16), nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint("folder"),
    sa.Index("evidence_by_age", "verdict", "at"),
)
sa.Table(
    "feedback",
    TABLES,
    sa.Column("frame", sa.String(length=200), nullable=False),
    sa.Column("camera", sa.String(length=64), nullable=False),
    sa.Column("product", sa.String(length=64), nullable=False),
    sa.Column("label", sa.String(length=16), nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("content", sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint("frame"),
    sa.Index("ix_feedback_at", "at"),
)
sa.Table(
    "incidents",
    TABLES,
    sa.Column("id", sa.String(length=32), nullable=False),
    sa.Column("scope", sa.String(length=200), nullable=False),
    sa.Column("kind", sa.String(length=64), nullable=False),
    sa.Column("camera", sa.String(length=64), nullable=True),
    sa.Column("product", sa.String(length=64), nullable=True),
    sa.Column("severity", sa.String(length=16), nullable=False),
    sa.Column("state", sa.String(length=16), nullable=False),
    sa.Column("sequence", sa.Integer(), nullable=False),
    sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
    sa.Column("content", sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint("id"),
    sa.Index("incidents_by_opening", "opened_at", "id"),
    sa.Index("incidents_by_state", "state", "opened_at"),
    sa.Index("incidents_of_scope", "scope", "state"),
)
sa.Table(
    "last_models",
    TABLES,
    sa.Column("product", sa.String(length=64), nullable=False),
    sa.Column("commands_until", sa.BigInteger(), nullable=False),
    sa.Column("content", sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint("product"),
)
sa.Table(
    "last_scores",
    TABLES,
    sa.Column("camera", sa.String(length=64), nullable=False),
    sa.Column("epoch", sa.BigInteger(), nullable=False),
    sa.Column("sequence", sa.BigInteger(), nullable=False),
    sa.Column("scored", sa.BigInteger(), nullable=False),
    sa.Column("content", sa.Text(), nullable=False),
    sa.Column("picture", sa.Text(), nullable=True),
    sa.PrimaryKeyConstraint("camera"),
)
sa.Table(
    "last_statuses",
    TABLES,
    sa.Column("camera", sa.String(length=64), nullable=False),
    sa.Column("epoch", sa.BigInteger(), nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("content", sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint("camera"),
)
sa.Table(
    "line_watch",
    TABLES,
    sa.Column("line", sa.String(length=200), nullable=False),
    sa.Column("holder", sa.String(length=200), nullable=True),
    sa.Column("held_until", sa.DateTime(timezone=True), nullable=True),
    sa.Column("topic_id", sa.String(length=64), nullable=False),
    sa.Column("positions", sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint("line"),
)
sa.Table(
    "model_orders",
    TABLES,
    sa.Column("id", sa.String(length=32), nullable=False),
    sa.Column("product", sa.String(length=64), nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("place", sa.BigInteger(), nullable=True),
    sa.Column("content", sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint("id"),
    sa.Index("model_orders_of_product", "product", "at", "id"),
)
sa.Table(
    "notification_limit",
    TABLES,
    sa.Column("id", sa.Integer(), nullable=False),
    sa.Column("content", sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint("id"),
)
sa.Table(
    "offsets",
    TABLES,
    sa.Column("topic", sa.String(length=249), nullable=False),
    sa.Column("partition", sa.Integer(), nullable=False),
    sa.Column("topic_id", sa.String(length=64), nullable=False),
    sa.Column("next", sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint("topic", "partition"),
)
sa.Table(
    "published",
    TABLES,
    sa.Column("topic", sa.String(length=249), nullable=False),
    sa.Column("change", sa.BigInteger(), nullable=False),
    sa.Column("holder", sa.String(length=200), nullable=True),
    sa.Column("held_until", sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint("topic"),
)
sa.Table(
    "repeats",
    TABLES,
    sa.Column("who", sa.String(length=200), nullable=False),
    sa.Column("key", sa.String(length=128), nullable=False),
    sa.Column("digest", sa.String(length=64), nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("status", sa.Integer(), nullable=False),
    sa.Column("content", sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint("who", "key"),
    sa.Index("ix_repeats_at", "at"),
)
sa.Table(
    "rule_states",
    TABLES,
    sa.Column("scope", sa.String(length=200), nullable=False),
    sa.Column("content", sa.Text(), nullable=False),
    sa.Column("topic", sa.String(length=249), nullable=False),
    sa.Column("partition", sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint("scope"),
)
sa.Table(
    "rule_versions",
    TABLES,
    sa.Column("digest", sa.String(length=64), nullable=False),
    sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("content", sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint("digest"),
    sa.Index("ix_rule_versions_first_at", "first_at"),
)
sa.Table(
    "subscriptions",
    TABLES,
    sa.Column("id", sa.String(length=32), nullable=False),
    sa.Column("name", sa.String(length=200), nullable=False),
    sa.Column("owner", sa.String(length=200), nullable=False),
    sa.Column("enabled", sa.Boolean(), nullable=False),
    sa.Column("filter", sa.Text(), nullable=False),
    sa.Column("channel", sa.Text(), nullable=False),
    sa.Column("secret", sa.Text(), nullable=False),
    sa.Column("version", sa.Integer(), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("digest", sa.Text(), nullable=True),
    sa.Column("digest_since", sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint("id"),
)
sa.Table(
    "tokens",
    TABLES,
    sa.Column("id", sa.String(length=32), nullable=False),
    sa.Column("name", sa.String(length=200), nullable=False),
    sa.Column("role", sa.String(length=16), nullable=False),
    sa.Column("digest", sa.String(length=64), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint("id"),
    sa.UniqueConstraint("digest"),
)
sa.Table(
    "windows",
    TABLES,
    sa.Column("id", sa.String(length=32), nullable=False),
    sa.Column("name", sa.String(length=200), nullable=False),
    sa.Column("owner", sa.String(length=200), nullable=False),
    sa.Column("plan", sa.Text(), nullable=False),
    sa.Column("version", sa.Integer(), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint("id"),
)
sa.Table(
    "changes",
    TABLES,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
    sa.Column("incident", sa.String(length=32), nullable=False),
    sa.Column("sequence", sa.Integer(), nullable=False),
    sa.Column("change", sa.String(length=16), nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("who", sa.String(length=200), nullable=True),
    sa.Column("notify", sa.Boolean(), nullable=False),
    sa.Column("held_by", sa.String(length=16), nullable=True),
    sa.Column("told_after", sa.String(length=32), nullable=True),
    sa.Column("traceparent", sa.String(length=64), nullable=True),
    sa.Column("content", sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(["incident"], ["incidents.id"]),
    sa.PrimaryKeyConstraint("id"),
    sa.UniqueConstraint("incident", "sequence"),
    sa.Index("ix_changes_at", "at"),
)
sa.Table(
    "escalations",
    TABLES,
    sa.Column("incident", sa.String(length=32), nullable=False),
    sa.Column("chain", sa.String(length=32), nullable=False),
    sa.Column("sequence", sa.Integer(), nullable=False),
    sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("step", sa.Integer(), nullable=False),
    sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(["chain"], ["escalation_chains.id"], ondelete="CASCADE"),
    sa.ForeignKeyConstraint(["incident"], ["incidents.id"], ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("incident", "chain"),
    sa.Index("escalations_due", "due_at"),
)
sa.Table(
    "window_ends",
    TABLES,
    sa.Column("window", sa.String(length=32), nullable=False),
    sa.Column("begin", sa.DateTime(timezone=True), nullable=False),
    sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("incidents", sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(["window"], ["windows.id"], ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("window", "begin"),
)
sa.Table(
    "collected",
    TABLES,
    sa.Column("subscription", sa.String(length=32), nullable=False),
    sa.Column("change", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(["change"], ["changes.id"], ondelete="CASCADE"),
    sa.ForeignKeyConstraint(["subscription"], ["subscriptions.id"], ondelete="CASCADE"),
    sa.PrimaryKeyConstraint("subscription", "change"),
)
sa.Table(
    "deliveries",
    TABLES,
    sa.Column("id", sa.String(length=32), nullable=False),
    sa.Column("subscription", sa.String(length=32), nullable=False),
    sa.Column("change", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
    sa.Column("incident", sa.String(length=32), nullable=True),
    sa.Column("digest", sa.String(length=32), nullable=True),
    sa.Column("chain", sa.String(length=200), nullable=True),
    sa.Column("step", sa.Integer(), nullable=True),
    sa.Column("state", sa.String(length=16), nullable=False),
    sa.Column("attempts", sa.Integer(), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("deadline", sa.DateTime(timezone=True), nullable=False),
    sa.Column("claimed_by", sa.String(length=200), nullable=True),
    sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
    sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
    sa.Column("last_status", sa.Integer(), nullable=True),
    sa.Column("last_reason", sa.String(length=64), nullable=True),
    sa.Column("last_error", sa.Text(), nullable=True),
    sa.Column("last_milliseconds", sa.Integer(), nullable=True),
    sa.Column("answer_head", sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(["subscription"], ["subscriptions.id"], ondelete="CASCADE"),
    sa.ForeignKeyConstraint(["digest"], ["digests.id"]),
    sa.ForeignKeyConstraint(["change"], ["changes.id"]),
    sa.PrimaryKeyConstraint("id"),
    sa.Index("deliveries_in_order", "subscription", "incident", "state", "change"),
    sa.Index("deliveries_waiting", "subscription", "state", "change"),
)


def upgrade() -> None:
    """Make the first tables."""
    TABLES.create_all(op.get_bind(), checkfirst=False)
