"""Puts a digest into the outbox of one subscription, in the caller's own transaction."""

import hashlib
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from alerts.database.connection import insert_missing
from alerts.database.tables import DeliveryRow, DigestRow
from alerts.deliveries.outbox import GIVE_UP_AFTER
from steadyline.contracts.alert_digest import AlertDigest


class DigestDeliveries:
    """What is not committed is not delivered, and what is committed is not forgotten."""

    def __init__(self, give_up_after: timedelta = GIVE_UP_AFTER) -> None:
        self._give_up_after = give_up_after

    def enqueue_digest(
        self, session: Session, subscription_id: str, digest: AlertDigest, now: datetime
    ) -> None:
        """Add the delivery of ``digest``, due at ``now``; one without any alert is not sent.

        A second call with the same digest does nothing for a subscription that has it, and several
        subscriptions may get the same one. The caller has locked the subscription against removal.
        """
        if not digest.alerts:
            return
        insert_missing(session, DigestRow, [{"id": digest.id, "content": digest.encode().decode()}])
        row = {
            "id": digest_delivery_id(subscription_id, digest.id),
            "subscription": subscription_id,
            "digest": digest.id,
            "state": "pending",
            "attempts": 0,
            "created_at": now,
            "next_at": now,
            "deadline": now + self._give_up_after,
        }
        insert_missing(session, DeliveryRow, [row])


def digest_delivery_id(subscription: str, digest: str) -> str:
    """Return the id under which a subscription gets a digest, in every attempt."""
    return hashlib.sha256(f"{subscription}\ndigest\n{digest}".encode()).hexdigest()[:32]
