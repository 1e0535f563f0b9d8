"""Who has acted, and who may: the names of the audit and of the tokens."""

from datetime import datetime

from pydantic import AwareDatetime, Field
from sqlalchemy import func, select, union
from sqlalchemy.orm import Session

from alerts.database.tables import AuditRow, TokenRow
from alerts.database.token_store import ROLES, Role
from steadyline.contracts.message import Part


class KnownUser(Part):
    """One name, as far as it is known."""

    name: str = Field(description="The name in every audit row.")
    role: Role | None = Field(
        description="Highest role of the valid tokens of that name; null for none, as for people of the OIDC "
        "issuer."
    )
    tokens: int = Field(description="Tokens of that name which are valid.")
    acts: int = Field(description="Acts in the audit.")
    last_act_at: AwareDatetime | None = Field(description="When the last one was; null for never.")


class UserStore:
    """Reads names within the caller's transaction."""

    def page(self, session: Session, after: str | None, limit: int, now: datetime) -> list[KnownUser]:
        """Return users by ascending name, those behind ``after``."""
        named = union(select(AuditRow.who.label("name")), select(TokenRow.name.label("name"))).subquery()
        query = select(named.c.name).order_by(named.c.name).limit(limit)
        if after is not None:
            query = query.where(named.c.name > after)
        names = list(session.scalars(query))
        acts = {
            who: (count, last)
            for who, count, last in session.execute(
                select(AuditRow.who, func.count(), func.max(AuditRow.at))
                .where(AuditRow.who.in_(names))
                .group_by(AuditRow.who)
            )
        }
        valid = select(TokenRow.name, TokenRow.role).where(
            TokenRow.name.in_(names), TokenRow.revoked_at.is_(None), TokenRow.expires_at > now
        )
        tokens = [(name, role) for name, role in session.execute(valid)]
        return [_user(name, acts.get(name, (0, None)), tokens) for name in names]


def _user(name: str, acts: tuple[int, datetime | None], tokens: list[tuple[str, str]]) -> KnownUser:
    mine = [role for holder, role in tokens if holder == name]
    highest = max((role for role in ROLES if role in mine), key=ROLES.index, default=None)
    return KnownUser(name=name, role=highest, tokens=len(mine), acts=acts[0], last_act_at=acts[1])
