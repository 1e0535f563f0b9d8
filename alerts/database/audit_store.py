"""Who did what, when, to what: written in the transaction of the act itself."""

from dataclasses import dataclass
from datetime import datetime

from pydantic import AwareDatetime
from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts.database.tables import AuditRow
from steadyline.contracts.message import Part


class AuditEntry(Part):
    """One act; ``id`` counts up in the order in which the acts were written."""

    id: int
    at: AwareDatetime
    who: str
    act: str
    target: str
    detail: str


@dataclass(frozen=True, slots=True)
class AuditAct:
    """An act that is to be noted; ``detail`` never holds a secret."""

    who: str
    act: str
    target: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which acts; None is any."""

    who: str | None = None
    act: str | None = None
    target: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class AuditStore:
    """Reads and writes the audit within the caller's transaction; there is no way to change a row."""

    def write(self, session: Session, act: AuditAct, now: datetime) -> None:
        """Note an act."""
        session.add(AuditRow(at=now, who=act.who, act=act.act, target=act.target, detail=act.detail))

    def page(self, session: Session, chosen: AuditFilter, before: int | None, limit: int) -> list[AuditEntry]:
        """Return acts, newest first, those with an id below ``before``."""
        query = select(AuditRow).order_by(AuditRow.id.desc()).limit(limit)
        if before is not None:
            query = query.where(AuditRow.id < before)
        if chosen.who is not None:
            query = query.where(AuditRow.who == chosen.who)
        if chosen.act is not None:
            query = query.where(AuditRow.act == chosen.act)
        if chosen.target is not None:
            query = query.where(AuditRow.target == chosen.target)
        if chosen.since is not None:
            query = query.where(AuditRow.at >= chosen.since)
        if chosen.until is not None:
            query = query.where(AuditRow.at < chosen.until)
        return [
            AuditEntry(id=row.id, at=row.at, who=row.who, act=row.act, target=row.target, detail=row.detail)
            for row in session.scalars(query)
        ]
