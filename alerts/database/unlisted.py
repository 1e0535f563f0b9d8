"""Cameras that the line file does not list: so many are taken, and what others say is passed over.

Else whoever may write scores or statuses could make rows for ever, by inventing names.
"""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from alerts.database.tables import RuleStateRow
from alerts.incidents.observation import Observation, ScoreSeen, StatusSeen, scope_of
from steadyline.kafka.broker import Partition

MOST_UNLISTED = 1_000  # of a line, with scores and with statuses each; processes at once may take a few more
PASSED_OVER = "too_many_cameras"

_Placed = tuple[Partition, Observation]


def within_bounds(session: Session, observed: Sequence[_Placed]) -> list[_Placed]:
    """Return what is taken of what was observed, in order: what is known already, and what is listed, is."""
    unlisted = dict.fromkeys(scope_of(one) for _, one in observed if _is_unlisted(one))
    if not unlisted:
        return list(observed)
    known = set(session.scalars(select(RuleStateRow.scope).where(RuleStateRow.scope.in_(unlisted))))
    new = [scope for scope in unlisted if scope not in known]
    refused: set[str] = set()
    for kind in {_kind(scope) for scope in new}:
        of_kind = [scope for scope in new if _kind(scope) == kind]
        refused.update(of_kind[max(0, MOST_UNLISTED - _count(session, kind)) :])
    return [(place, one) for place, one in observed if scope_of(one) not in refused]


def _is_unlisted(observation: Observation) -> bool:
    return isinstance(observation, ScoreSeen | StatusSeen) and not observation.is_listed


def _kind(scope: str) -> str:
    return scope.partition("/")[0]


def _count(session: Session, kind: str) -> int:
    rows = select(func.count()).select_from(RuleStateRow).where(RuleStateRow.scope.like(f"{kind}/%"))
    return session.scalar(rows) or 0
