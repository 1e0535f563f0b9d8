"""The newest label of each frame, for the pages that show it; the topic of labels is what counts."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from alerts.database.tables import FeedbackRow
from steadyline.contracts.feedback import Feedback, FrameLabel


@dataclass(frozen=True, slots=True)
class FeedbackFilter:
    """Which labels; None is any."""

    camera: str | None = None
    product: str | None = None
    label: FrameLabel | None = None


class FeedbackStore:
    """Reads and writes labels within the caller's transaction."""

    def put(self, session: Session, feedback: Feedback) -> None:
        """Keep a label in place of an earlier one of its frame; an older one changes nothing."""
        row = session.get(FeedbackRow, feedback.frame)
        if row is not None and row.at > feedback.at:
            return
        session.merge(
            FeedbackRow(
                frame=feedback.frame,
                camera=feedback.camera,
                product=feedback.product,
                label=feedback.label,
                at=feedback.at,
                content=feedback.encode().decode(),
            )
        )

    def page(
        self, session: Session, chosen: FeedbackFilter, before: tuple[datetime, str] | None, limit: int
    ) -> list[Feedback]:
        """Return labels, newest first, those behind the time and frame of ``before``."""
        query = select(FeedbackRow).order_by(FeedbackRow.at.desc(), FeedbackRow.frame.desc()).limit(limit)
        if before is not None:
            at, frame = before
            same_time = and_(FeedbackRow.at == at, FeedbackRow.frame < frame)
            query = query.where(or_(FeedbackRow.at < at, same_time))
        if chosen.camera is not None:
            query = query.where(FeedbackRow.camera == chosen.camera)
        if chosen.product is not None:
            query = query.where(FeedbackRow.product == chosen.product)
        if chosen.label is not None:
            query = query.where(FeedbackRow.label == chosen.label)
        return [Feedback.decode(row.content.encode()) for row in session.scalars(query)]
