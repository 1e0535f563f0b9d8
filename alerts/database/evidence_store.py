"""Which frames have evidence in the store, and which of it is old enough to be removed."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, case, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from alerts.database.tables import EvidenceRow, IncidentRow
from alerts.incidents.incident import Incident
from steadyline.contracts.evidence import EvidenceKey
from steadyline.contracts.score import Score, Verdict

# Anomalous frames that count towards an incident were captured before the one that opens it.
BEFORE_OPENING = timedelta(minutes=10)


class EvidenceStore:
    """Reads and writes within the caller's transaction."""

    def note(self, session: Session, kept: Iterable[tuple[EvidenceKey, Score]], now: datetime) -> None:
        """Note frames whose evidence is kept.

        Of one that is noted already the camera is the newer one, and it stays anomalous if it ever was: who
        writes scores beforehand is not to choose what is removed as normal.
        """
        rows = {
            folder_of(key): {
                "folder": folder_of(key),
                "camera": score.camera,
                "product": score.product,
                "frame": score.frame,
                "verdict": score.verdict,
                "at": now,
            }
            for key, score in kept
        }
        if not rows:
            return
        dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
        insert = dialect.insert(EvidenceRow).values([row for _, row in sorted(rows.items())])
        new = insert.excluded
        session.execute(
            insert.on_conflict_do_update(
                index_elements=[EvidenceRow.folder],
                set_={
                    "camera": new.camera,
                    "product": new.product,
                    "frame": new.frame,
                    "verdict": case((EvidenceRow.verdict == "anomalous", "anomalous"), else_=new.verdict),
                },
            )
        )

    def old(self, session: Session, verdict: Verdict, before: datetime, most: int) -> list[str]:
        """Return at most so many folders of evidence that was taken before a moment.

        None of it is of a camera's incident that is not over: what was taken since that began is left, and
        what such an incident shows, whatever camera its score has named.
        """
        standing = select(IncidentRow.content).where(IncidentRow.state != "resolved")
        shown = {
            one for content in session.scalars(standing) for one in _shown(Incident.read(content.encode()))
        }
        opened = select(IncidentRow.camera, func.min(IncidentRow.opened_at)).where(
            IncidentRow.state != "resolved", IncidentRow.camera.is_not(None)
        )
        began = {str(camera): at for camera, at in session.execute(opened.group_by(IncidentRow.camera))}
        mine = EvidenceRow.folder.not_in(shown)
        found = self._old(session, (verdict, before), mine & EvidenceRow.camera.not_in(began), most)
        for camera, at in began.items():
            limit = (verdict, min(before, at - BEFORE_OPENING))
            found += self._old(session, limit, mine & (EvidenceRow.camera == camera), most - len(found))
        return found

    @staticmethod
    def _old(
        session: Session, limit: tuple[Verdict, datetime], of: ColumnElement[bool], most: int
    ) -> list[str]:
        verdict, before = limit
        rows = select(EvidenceRow.folder).where(EvidenceRow.verdict == verdict, EvidenceRow.at < before, of)
        return list(session.scalars(rows.order_by(EvidenceRow.at).limit(most)))

    def forget(self, session: Session, folders: Sequence[str]) -> None:
        """Forget evidence that is removed."""
        session.execute(delete(EvidenceRow).where(EvidenceRow.folder.in_(folders)))


def _shown(incident: Incident) -> list[str]:
    """Return the folders of what an incident shows."""
    facts = incident.anomaly
    uris = () if facts is None else (facts.picture_uri, facts.map_uri)
    return [
        f"evidence/{uri.rsplit('/evidence/', 1)[-1].rsplit('/', 1)[0]}" for uri in uris if uri is not None
    ]


def folder_of(key: EvidenceKey) -> str:
    """Return the key of the store below which all evidence of a frame lies."""
    return str(key).rsplit("/", 1)[0]
