"""Puts changes into the outbox of every subscription that they are for, in the writer's own transaction.

A subscription that is told by digest has it collected instead.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts.database.changes import ToldChange
from alerts.database.connection import insert_missing
from alerts.database.tables import ChangeRow, CollectedRow, DeliveryRow, SubscriptionRow
from alerts.subscriptions.filter import SubscriptionFilter
from alerts.subscriptions.store import read_digest_rule

GIVE_UP_AFTER = timedelta(hours=24)


class DeliveryOutbox:
    """See ``Outbox``: what is not committed is not delivered, and what is committed is not forgotten."""

    def __init__(self, give_up_after: timedelta = GIVE_UP_AFTER) -> None:
        self._give_up_after = give_up_after

    def enqueue(self, session: Session, told: Sequence[ToldChange]) -> None:
        """Add one delivery for each enabled subscription whose filter takes an alert; it is due at once.

        Where the subscription has a rule of digests it is collected, unless the rule lets it pass at once.
        """
        if not told:
            return
        session.flush()  # gives the changes their numbers
        # Locked against removal: a delivery of a subscription that is gone would be refused.
        rows = session.execute(
            select(SubscriptionRow.id, SubscriptionRow.filter, SubscriptionRow.digest)
            .where(SubscriptionRow.enabled)
            .with_for_update(read=True, key_share=True)
        )
        for id, condition, digest in rows:
            wanted, rule = SubscriptionFilter.read(condition.encode()), read_digest_rule(digest)
            for change, alert in told:
                if not wanted.matches(alert):
                    continue
                if rule is None or rule.is_told_at_once(alert):
                    session.add(new_delivery(id, change, change.written_at, self._give_up_after))
                else:
                    collect(session, id, [change], change.written_at)
        session.flush()


def collect(session: Session, subscription: str, changes: Sequence[ChangeRow], now: datetime) -> None:
    """Keep changes for the next digest of a subscription; one that waits there already does so once."""
    rows = [{"subscription": subscription, "change": change.id, "at": now} for change in changes]
    insert_missing(session, CollectedRow, rows)


def delivery_id(subscription: str, incident: str, sequence: int) -> str:
    """Return the id under which a subscription gets a change, in every attempt and every replay."""
    return hashlib.sha256(f"{subscription}\n{incident}\n{sequence}".encode()).hexdigest()[:32]


def new_delivery(
    subscription: str, change: ChangeRow, now: datetime, give_up_after: timedelta
) -> DeliveryRow:
    """Return a delivery that is due at ``now``."""
    return DeliveryRow(
        id=delivery_id(subscription, change.incident, change.sequence),
        subscription=subscription,
        change=change.id,
        incident=change.incident,
        state="pending",
        attempts=0,
        created_at=now,
        next_at=now,
        deadline=now + give_up_after,
    )
