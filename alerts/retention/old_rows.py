"""Removes old rows of the database, some at a time, so that nobody waits long for a lock."""

from datetime import datetime

from sqlalchemy import delete, exists, func, or_, select
from sqlalchemy.orm import Session

from alerts.database.tables import (
    AuditRow,
    ChangeRow,
    CollectedRow,
    DeliveryRow,
    DigestRow,
    IncidentRow,
    PublishedRow,
)

MOST = 500  # rows of one transaction


def remove_incidents(session: Session, before: datetime) -> int:
    """Remove resolved incidents that ended before a moment, with their changes and deliveries.

    One of which something waits to be delivered, also by a digest, or to be written to the topic of alerts,
    stays.
    """
    written = select(func.coalesce(func.min(PublishedRow.change), 0)).scalar_subquery()
    waiting = exists(
        select(DeliveryRow.id).where(DeliveryRow.incident == IncidentRow.id, DeliveryRow.state == "pending")
    )
    unwritten = exists(
        select(ChangeRow.id).where(ChangeRow.incident == IncidentRow.id, ChangeRow.id > written)
    )
    collected = exists(
        select(CollectedRow.change)
        .join(ChangeRow, ChangeRow.id == CollectedRow.change)
        .where(ChangeRow.incident == IncidentRow.id)
    )
    needed = or_(waiting, unwritten, collected)
    rows = (
        select(IncidentRow.id)
        .where(IncidentRow.state == "resolved", IncidentRow.resolved_at < before, ~needed)
        .order_by(IncidentRow.resolved_at)
        .limit(MOST)
        .with_for_update(skip_locked=True)
    )
    ids = list(session.scalars(rows))
    if ids:
        session.execute(delete(DeliveryRow).where(DeliveryRow.incident.in_(ids)))
        session.execute(delete(ChangeRow).where(ChangeRow.incident.in_(ids)))
        session.execute(delete(IncidentRow).where(IncidentRow.id.in_(ids)))
    return len(ids)


def remove_deliveries(session: Session, before: datetime) -> int:
    """Remove deliveries that ended before a moment, of incidents that are over."""
    standing = exists(
        select(IncidentRow.id).where(IncidentRow.id == DeliveryRow.incident, IncidentRow.state != "resolved")
    )
    ended = func.coalesce(DeliveryRow.delivered_at, DeliveryRow.deadline)
    rows = (
        select(DeliveryRow.id)
        .where(DeliveryRow.state != "pending", ended < before, ~standing)
        .limit(MOST)
        .with_for_update(skip_locked=True)
    )
    ids = list(session.scalars(rows))
    session.execute(delete(DeliveryRow).where(DeliveryRow.id.in_(ids)))
    named = exists(select(DeliveryRow.id).where(DeliveryRow.digest == DigestRow.id))
    session.execute(delete(DigestRow).where(~named))
    return len(ids)


def remove_audit(session: Session, before: datetime) -> int:
    """Remove entries of the audit that were written before a moment."""
    ids = list(session.scalars(select(AuditRow.id).where(AuditRow.at < before).limit(MOST)))
    session.execute(delete(AuditRow).where(AuditRow.id.in_(ids)))
    return len(ids)
