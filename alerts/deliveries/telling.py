"""What became of the changes of one incident: who was told of each, and why the others were not."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts.database.tables import ChangeRow, DeliveryRow
from alerts.incidents.limit import HeldBy
from alerts.subscriptions.filter import Mismatch
from alerts.subscriptions.subscription import Subscription
from steadyline.contracts.alert import Alert

# Why a change that was notified has no delivery of its own: the subscription was made later, or is disabled;
# a condition of its filter does not hold; it is told by digest; it was edited since; or the delivery was
# removed, as old ones are.
NotTold = Literal["made_later", "disabled", "digest", "edited", "removed"] | Mismatch


@dataclass(frozen=True, slots=True)
class ToldChange:
    """One change as it was written; ``told_after`` is the window at whose end a summary told of it."""

    number: int
    alert: Alert
    written_at: datetime
    held_by: HeldBy | None
    told_after: str | None


@dataclass(frozen=True, slots=True)
class Telling:
    """One delivery, as far as it is of interest here."""

    id: str
    state: str
    reason: str | None


class TellingStore:
    """Every call is within its caller's transaction."""

    def held_by(self, session: Session, incident: str) -> dict[int, HeldBy]:
        """Return for each change of an incident that was held back, by its sequence, the word of what did."""
        held = select(ChangeRow.sequence, ChangeRow.held_by).where(
            ChangeRow.incident == incident, ChangeRow.held_by.is_not(None)
        )
        return {sequence: cast("HeldBy", word) for sequence, word in session.execute(held)}

    def changes(self, session: Session, incident: str, limit: int) -> list[ToldChange]:
        """Return the last changes of an incident, in their order."""
        rows = select(ChangeRow).where(ChangeRow.incident == incident).order_by(ChangeRow.sequence.desc())
        return [
            ToldChange(
                row.id,
                Alert.decode(row.content.encode()),
                row.written_at,
                cast("HeldBy | None", row.held_by),
                row.told_after,
            )
            for row in reversed(session.scalars(rows.limit(limit)).all())
        ]

    def deliveries(
        self, session: Session, incident: str, subscriptions: Collection[str]
    ) -> dict[tuple[str, int], Telling]:
        """Return the deliveries of an incident, by subscription and the number of the change."""
        rows = select(DeliveryRow).where(
            DeliveryRow.subscription.in_(subscriptions),
            DeliveryRow.incident == incident,
            DeliveryRow.chain.is_(None),  # a step of an escalation is told besides
        )
        return {
            (row.subscription, row.change): Telling(row.id, row.state, row.last_reason)
            for row in session.scalars(rows)
            if row.change is not None
        }


def why_not_told(subscription: Subscription, change: ToldChange) -> NotTold:
    """Return why a subscription has no delivery of a change that was notified, as far as can be told now."""
    if subscription.created_at > change.written_at:
        return "made_later"
    if not subscription.enabled:
        return "disabled"
    mismatch = subscription.filter.mismatch(change.alert)
    if mismatch is not None:
        return mismatch
    if subscription.digest is not None and not subscription.digest.is_told_at_once(change.alert):
        return "digest"
    return "edited" if subscription.version > 1 else "removed"
