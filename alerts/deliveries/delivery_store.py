"""The outbox as people see it: what became of each delivery, and how to send one again."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import and_, or_, select, update
from sqlalchemy.orm import Session

from alerts.database.tables import ChangeRow, DeliveryRow, SubscriptionRow
from alerts.deliveries.outbox import GIVE_UP_AFTER, collect, delivery_id, new_delivery
from alerts.subscriptions.filter import SubscriptionFilter
from alerts.subscriptions.store import read_digest_rule
from steadyline.contracts.alert import Alert

_AT_ONCE = 500


class DeliveryChoice(Protocol):
    """Which deliveries; None is any."""

    @property
    def subscription(self) -> str | None:
        """Those of one subscription."""
        ...

    @property
    def incident(self) -> str | None:
        """Those of one incident."""
        ...

    @property
    def state(self) -> str | None:
        """Those that are pending, delivered or dead."""
        ...


class DeliveryStore:
    """Every call is within its caller's transaction."""

    def __init__(self, give_up_after: timedelta = GIVE_UP_AFTER) -> None:
        self._give_up_after = give_up_after

    def find(self, session: Session, delivery_id: str) -> DeliveryRow | None:
        """Return a delivery, or None when there is none of that id."""
        return session.get(DeliveryRow, delivery_id)

    def page(
        self, session: Session, chosen: DeliveryChoice, after: tuple[datetime, str] | None, limit: int
    ) -> Sequence[DeliveryRow]:
        """Return deliveries by descending (created_at, id), those behind ``after``."""
        query = select(DeliveryRow).order_by(DeliveryRow.created_at.desc(), DeliveryRow.id.desc())
        for column, wanted in (
            (DeliveryRow.subscription, chosen.subscription),
            (DeliveryRow.incident, chosen.incident),
            (DeliveryRow.state, chosen.state),
        ):
            if wanted is not None:
                query = query.where(column == wanted)
        if after is not None:
            at, id = after
            behind = and_(DeliveryRow.created_at == at, DeliveryRow.id < id)
            query = query.where(or_(DeliveryRow.created_at < at, behind))
        return session.scalars(query.limit(limit)).all()

    def redeliver(self, session: Session, delivery_id: str, now: datetime) -> bool:
        """Send one again under its id, whatever became of it; return False when there is none.

        One that is under way is made due at once, as if nobody had it in hand.
        """
        return bool(self._again(session, [delivery_id], now))

    def replay(
        self, session: Session, subscription_id: str, span: tuple[datetime, datetime], now: datetime
    ) -> int:
        """Send a subscription again what notified from ``span[0]`` to before ``span[1]``; return how many.

        It is what its filter takes today, also what it was never sent because it did not exist yet; each
        under the id that it has always had. Of one incident they go out in order. Where it is told by digest
        they come with the next one.
        """
        # Locked, so that of two replays one waits: both would add the same deliveries.
        row = session.get(SubscriptionRow, subscription_id, with_for_update=True)
        if row is None:
            return 0
        condition, rule = SubscriptionFilter.read(row.filter.encode()), read_digest_rule(row.digest)
        count, last = 0, 0
        while changes := self._changes(session, span, last):
            last = changes[-1].id
            alerts = [(one, Alert.decode(one.content.encode())) for one in changes]
            chosen = [(one, alert) for one, alert in alerts if condition.matches(alert)]
            waits = [one for one, alert in chosen if rule is not None and not rule.is_told_at_once(alert)]
            collect(session, subscription_id, waits, now)
            ids = {one.id for one in waits}
            self._send(session, subscription_id, [one for one, _ in chosen if one.id not in ids], now)
            count += len(chosen)
        return count

    def _send(self, session: Session, subscription_id: str, changes: list[ChangeRow], now: datetime) -> None:
        """Make the deliveries of changes due, and those that there are not yet."""
        ids = {delivery_id(subscription_id, one.incident, one.sequence): one for one in changes}
        known = self._again(session, list(ids), now)
        session.add_all(
            new_delivery(subscription_id, change, now, self._give_up_after)
            for id, change in ids.items()
            if id not in known
        )
        session.flush()

    @staticmethod
    def _changes(session: Session, span: tuple[datetime, datetime], after: int) -> Sequence[ChangeRow]:
        query = (
            select(ChangeRow)
            .where(ChangeRow.id > after, ChangeRow.notify, ChangeRow.at >= span[0], ChangeRow.at < span[1])
            .order_by(ChangeRow.id)
            .limit(_AT_ONCE)
        )
        return session.scalars(query).all()

    def _again(self, session: Session, ids: list[str], now: datetime) -> set[str]:
        """Make deliveries due at once; return the ids of those that there are."""
        known = set(session.scalars(select(DeliveryRow.id).where(DeliveryRow.id.in_(ids)).with_for_update()))
        session.execute(
            update(DeliveryRow)
            .where(DeliveryRow.id.in_(known))
            .values(
                state="pending",
                attempts=0,
                created_at=now,
                next_at=now,
                deadline=now + self._give_up_after,
                claimed_by=None,
                claimed_until=None,
                delivered_at=None,
            )
        )
        return known
