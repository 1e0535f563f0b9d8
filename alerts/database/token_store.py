"""API tokens: the secret is shown once and only its SHA-256 kept."""

import hashlib
import hmac
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, TypeAdapter
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from alerts.database.tables import TokenRow
from steadyline.contracts.message import Part

Role = Literal["viewer", "operator", "engineer", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "operator", "engineer", "admin")  # each may what those before it may
PREFIX = "sl_"  # so that a scanner for secrets finds one that was committed

_ROLE: TypeAdapter[Role] = TypeAdapter(Role)


class ApiToken(Part):
    """What is kept of a token; nothing of it lets anybody in."""

    id: str
    name: str
    role: Role
    created_at: AwareDatetime
    expires_at: AwareDatetime
    revoked_at: AwareDatetime | None = None


@dataclass(frozen=True, slots=True)
class TokenOrder:
    """A token that is to be made."""

    name: str
    role: Role
    expires_at: datetime


class TokenStore:
    """Reads and writes tokens within the caller's transaction."""

    def create(self, session: Session, order: TokenOrder, now: datetime) -> tuple[ApiToken, str]:
        """Return the new token, and its secret, which cannot be had again."""
        secret = PREFIX + secrets.token_urlsafe(32)
        row = TokenRow(
            id=uuid.uuid4().hex,
            name=order.name,
            role=order.role,
            digest=_digest(secret),
            created_at=now,
            expires_at=order.expires_at,
            revoked_at=None,
        )
        session.add(row)
        session.flush()
        return _token(row), secret

    def find_by_secret(self, session: Session, secret: str) -> ApiToken | None:
        """Return the token of a secret, expired and revoked ones too.

        The index is searched by the digest, of which a stranger cannot choose the first bytes; what it finds
        is compared in constant time all the same.
        """
        digest = _digest(secret)
        row = session.scalars(select(TokenRow).where(TokenRow.digest == digest)).one_or_none()
        if row is None or not hmac.compare_digest(row.digest, digest):
            return None
        return _token(row)

    def find(self, session: Session, token_id: str) -> ApiToken | None:
        """Return a token by its id."""
        row = session.get(TokenRow, token_id)
        return None if row is None else _token(row)

    def page(self, session: Session, after: str | None, limit: int) -> list[ApiToken]:
        """Return tokens by ascending id, those behind ``after``."""
        query = select(TokenRow).order_by(TokenRow.id).limit(limit)
        if after is not None:
            query = query.where(TokenRow.id > after)
        return [_token(row) for row in session.scalars(query)]

    def revoke(self, session: Session, token_id: str, now: datetime) -> ApiToken | None:
        """Let a token in no more; one that was revoked before keeps its time. None when there is none."""
        row = session.get(TokenRow, token_id)
        if row is None:
            return None
        row.revoked_at = row.revoked_at or now
        session.flush()
        return _token(row)

    def count(self, session: Session) -> int:
        """Return how many tokens there ever were."""
        return session.scalar(select(func.count()).select_from(TokenRow)) or 0


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _token(row: TokenRow) -> ApiToken:
    return ApiToken(
        id=row.id,
        name=row.name,
        role=_ROLE.validate_python(row.role),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
