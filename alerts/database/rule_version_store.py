"""Which rules processes have started with, and when: an old incident can be held against its rules."""

import json
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, Field
from sqlalchemy import and_, or_, select, update
from sqlalchemy.orm import Session

from alerts.database.connection import insert_missing
from alerts.database.tables import RuleVersionRow
from steadyline.contracts.message import Part
from steadyline.rule_set import RuleSet


class RuleVersion(Part):
    """A version of the rules; ``version`` is the SHA-256 of what they say."""

    version: str
    first_at: AwareDatetime = Field(description="When a process first started with them.")
    last_at: AwareDatetime = Field(description="When a process last started with them.")


class KeptRules(RuleVersion):
    """A version with its rules, which may be those of another release."""

    alerts: dict[str, Any] = Field(description="The section `alerts` of the line file, no default left out.")
    products: dict[str, Any] = Field(description="Product → its rules, as the line file has them.")


class RuleVersionStore:
    """Reads and writes versions within the caller's transaction."""

    def note(self, session: Session, rules: RuleSet, now: datetime) -> None:
        """Note that a process has started with these rules; they are kept once."""
        digest, content = rules.version, json.dumps(rules.written())
        new = {"digest": digest, "first_at": now, "last_at": now, "content": content}
        insert_missing(session, RuleVersionRow, [new])
        newer = update(RuleVersionRow).where(RuleVersionRow.digest == digest, RuleVersionRow.last_at < now)
        session.execute(newer.values(last_at=now))

    def find(self, session: Session, digest: str) -> KeptRules | None:
        """Return a version by its digest."""
        row = session.get(RuleVersionRow, digest)
        if row is None:
            return None
        return KeptRules.model_validate({**_version(row).model_dump(), **json.loads(row.content)})

    def page(self, session: Session, before: tuple[datetime, str] | None, limit: int) -> list[RuleVersion]:
        """Return versions, those that were new last first, behind the time and digest of ``before``."""
        order = (RuleVersionRow.first_at.desc(), RuleVersionRow.digest.desc())
        query = select(RuleVersionRow).order_by(*order).limit(limit)
        if before is not None:
            at, digest = before
            same_time = and_(RuleVersionRow.first_at == at, RuleVersionRow.digest < digest)
            query = query.where(or_(RuleVersionRow.first_at < at, same_time))
        return [_version(row) for row in session.scalars(query)]


def _version(row: RuleVersionRow) -> RuleVersion:
    return RuleVersion(version=row.digest, first_at=row.first_at, last_at=row.last_at)
