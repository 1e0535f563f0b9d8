"""What requests with an Idempotency-Key were answered, for a day."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from alerts.database.tables import RepeatRow

KEPT = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class RepeatKey:
    """A key is its sender's own: two who choose the same one do not meet."""

    who: str
    key: str
    digest: str  # of method, path and body


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """The answer that was given; ``content`` is JSON without the secret that the first answer had."""

    digest: str
    status: int
    content: str


class RepeatStore:
    """Reads and writes answers within the caller's transaction, which is the one of the act itself."""

    def find(self, session: Session, key: RepeatKey, now: datetime) -> KeptAnswer | None:
        """Return the answer that this key was given within the last day."""
        session.execute(delete(RepeatRow).where(RepeatRow.at <= now - KEPT))
        row = session.get(RepeatRow, (key.who, key.key))
        return None if row is None else KeptAnswer(row.digest, row.status, row.content)

    def keep(self, session: Session, key: RepeatKey, answer: KeptAnswer, now: datetime) -> bool:
        """Keep an answer; False, and nothing is to be committed, when another request was first."""
        session.add(
            RepeatRow(
                who=key.who,
                key=key.key,
                digest=key.digest,
                at=now,
                status=answer.status,
                content=answer.content,
            )
        )
        try:
            session.flush()
        except IntegrityError:
            return False
        return True
