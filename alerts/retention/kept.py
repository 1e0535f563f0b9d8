"""Notes which evidence is in the store, as scores are taken."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from alerts.database.evidence_store import EvidenceStore
from alerts.evidence import EvidenceReader
from steadyline.contracts.evidence import EvidenceKey
from steadyline.contracts.score import Score


@dataclass(frozen=True, slots=True)
class EvidenceNotes:
    """Only what is evidence of our line, at the place of the score's own frame, is ever removed."""

    evidence: EvidenceReader
    store: EvidenceStore = field(default_factory=EvidenceStore)

    def note(self, session: Session, scores: Sequence[Score], now: datetime) -> None:
        """See ``NoteScores``."""
        kept = [(key, score) for score in scores if (key := self._key(score)) is not None]
        self.store.note(session, kept, now)

    def _key(self, score: Score) -> EvidenceKey | None:
        key = None if score.picture_uri is None else self.evidence.key(score.picture_uri)
        if key is None or (key.partition, key.offset) != (score.source_partition, score.source_offset):
            return None
        return key
