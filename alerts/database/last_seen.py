"""The newest of each camera and product, written with what the rules made of it: what a page shows first."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from pydantic import AwareDatetime
from sqlalchemy import ColumnElement, Select, case, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import InstrumentedAttribute, Session

from alerts.database.seen_models import SeenModels, seen_models
from alerts.database.tables import LastModelsRow, LastScoreRow, LastStatusRow, RuleStateRow
from alerts.database.unlisted import MOST_UNLISTED
from alerts.incidents.camera_rules import CameraMemory
from alerts.incidents.observation import ModelSeen, Observation, ScoreSeen, StatusSeen
from alerts.incidents.rules import RuleState
from steadyline.contracts.camera_status import CameraStatus
from steadyline.contracts.frame import FrameId
from steadyline.contracts.message import Part
from steadyline.contracts.model_event import ModelEvent
from steadyline.contracts.score import Score, Verdict

_Query = TypeVar("_Query", bound=Select[*tuple[Any, ...]])


class LastScore(Part):
    """What is shown of a camera's newest score."""

    frame: str
    product: str
    captured_at: AwareDatetime
    scored_at: AwareDatetime
    score: float
    threshold: float
    p_value: float
    verdict: Verdict
    model_version: int


class KeptPicture(Part):
    """The newest frame of a camera of which the picture was kept."""

    frame: str
    captured_at: AwareDatetime
    uri: str


class NewestScore(Part):
    """A camera's newest score; ``scored`` counts those of ``epoch``, which is the camera's newest."""

    camera: str
    epoch: int
    scored: int
    last: LastScore
    picture: KeptPicture | None


def note_seen(session: Session, observations: Sequence[Observation]) -> None:
    """Note the newest of what was observed, in the transaction of its offsets, behind the scopes' locks."""
    scores: dict[str, list[tuple[FrameId, Score]]] = defaultdict(list)
    statuses: dict[str, CameraStatus] = {}
    events: dict[str, ModelEvent] = {}
    for observation in observations:
        match observation:
            case ScoreSeen(score=score):
                scores[score.camera].append((FrameId.parse(score.frame), score))
            case StatusSeen(status=status):
                known = statuses.get(status.camera)
                if known is None or (status.epoch, status.at) >= (known.epoch, known.at):
                    statuses[status.camera] = status
            case ModelSeen(event=event):
                events[event.product] = event
            case _:
                pass
    _note_scores(session, scores)
    _note_statuses(session, statuses)
    _note_events(session, events)


class LastSeenStore:
    """Reads the newest of each camera and product within the caller's transaction."""

    def scores(self, session: Session, listed: Collection[str]) -> dict[str, NewestScore]:
        """Return camera → its newest score, of the cameras that are listed; of so many when none is."""
        rows = session.scalars(_of_cameras(select(LastScoreRow), LastScoreRow.camera, listed))
        return {row.camera: _newest_score(row) for row in rows}

    def score(self, session: Session, camera: str) -> NewestScore | None:
        """Return the newest score of one camera."""
        row = session.get(LastScoreRow, camera)
        return None if row is None else _newest_score(row)

    def statuses(self, session: Session, listed: Collection[str]) -> dict[str, CameraStatus]:
        """Return camera → its newest status, see ``scores``; without the runs of dropped frames."""
        rows = session.scalars(_of_cameras(select(LastStatusRow), LastStatusRow.camera, listed))
        return {row.camera: CameraStatus.read(row.content.encode()) for row in rows}

    def memories(self, session: Session, listed: Collection[str]) -> dict[str, CameraMemory]:
        """Return camera → what the rules remember of its statuses, since when it is in its state for example.

        Of which cameras, see ``scores``.
        """
        states_of = select(RuleStateRow.scope, RuleStateRow.content)
        scopes = [f"status/{camera}" for camera in listed]
        rows = _of_cameras(states_of.where(RuleStateRow.scope.like("status/%")), RuleStateRow.scope, scopes)
        states = {
            scope.removeprefix("status/"): RuleState.read(content.encode()).camera
            for scope, content in session.execute(rows)
            if content
        }
        return {camera: memory for camera, memory in states.items() if memory is not None}

    def models(self, session: Session) -> dict[str, SeenModels]:
        """Return product → its models as the newest believed event has them."""
        rows = session.scalars(select(LastModelsRow))
        return {row.product: SeenModels.read(row.content.encode()) for row in rows}

    def models_of(self, session: Session, product: str) -> SeenModels | None:
        """Return the models of one product."""
        row = session.get(LastModelsRow, product)
        return None if row is None else SeenModels.read(row.content.encode())

    def commands_until(self, session: Session, product: str) -> int:
        """Return up to which offset orders of a product have been read; 0 before its first event."""
        found = select(LastModelsRow.commands_until).where(LastModelsRow.product == product)
        return session.scalar(found) or 0


def _of_cameras(rows: _Query, name: InstrumentedAttribute[str], listed: Collection[str]) -> _Query:
    """Return the query of rows of the cameras listed; when none is, of the first ones by name."""
    return rows.where(name.in_(listed)) if listed else rows.order_by(name).limit(MOST_UNLISTED)


def _note_scores(session: Session, scores: Mapping[str, Sequence[tuple[FrameId, Score]]]) -> None:
    _upsert(session, LastScoreRow, [_score_row(camera, found) for camera, found in sorted(scores.items())])


def _score_row(camera: str, found: Sequence[tuple[FrameId, Score]]) -> dict[str, object]:
    epoch = max(frame.epoch for frame, _ in found)
    present = [(frame, score) for frame, score in found if frame.epoch == epoch]
    frame, last = max(present, key=lambda one: one[0].sequence)
    kept = [one for one in present if one[1].picture_uri is not None]
    _, pictured = max(kept, key=lambda one: one[0].sequence, default=(None, None))
    return {
        "camera": camera,
        "epoch": epoch,
        "sequence": frame.sequence,
        "scored": len(present),
        "content": LastScore.model_validate(last, from_attributes=True).model_dump_json(),
        "picture": None if pictured is None else _kept(pictured).model_dump_json(),
    }


def _kept(score: Score) -> KeptPicture:
    assert score.picture_uri is not None
    return KeptPicture(frame=score.frame, captured_at=score.captured_at, uri=score.picture_uri)


def _note_statuses(session: Session, statuses: Mapping[str, CameraStatus]) -> None:
    rows = [
        {
            "camera": camera,
            "epoch": status.epoch,
            "at": status.at,
            "content": status.model_copy(update={"dropped_sequences": []}).model_dump_json(),
        }
        for camera, status in sorted(statuses.items())
    ]
    _upsert(session, LastStatusRow, rows)


def _note_events(session: Session, events: Mapping[str, ModelEvent]) -> None:
    rows = [
        {
            "product": product,
            "commands_until": event.commands_until,
            "content": seen_models(event).model_dump_json(),
        }
        for product, event in sorted(events.items())
    ]
    _upsert(session, LastModelsRow, rows)


_Kind = type[LastScoreRow] | type[LastStatusRow] | type[LastModelsRow]


def _upsert(session: Session, kind: _Kind, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert rows; where there is one already, whatever is newer of both stays."""
    if rows:
        session.execute(_statement(kind, session.get_bind().dialect.name == "sqlite"), list(rows))


@cache
def _statement(kind: _Kind, is_sqlite: bool) -> Any:
    """Return the statement of one row, made once: making it costs more than running it."""
    insert = (sqlite if is_sqlite else postgresql).insert(kind.__table__)
    key = "product" if kind is LastModelsRow else "camera"
    return insert.on_conflict_do_update(index_elements=[key], set_=_newer(kind, insert.excluded, key))


def _newer(kind: _Kind, new: Any, key: str) -> dict[str, Any]:
    """Return column → the value that stays; of a model event it is the new one, for they come in order."""
    old = kind.__table__.c
    columns = [column.name for column in old if column.name != key]
    if kind is LastModelsRow:
        return {name: new[name] for name in columns}
    is_next_epoch = new.epoch > old.epoch
    order = "sequence" if kind is LastScoreRow else "at"
    is_newer: ColumnElement[bool] = or_(is_next_epoch, (new.epoch == old.epoch) & (new[order] >= old[order]))
    values = {name: case((is_newer, new[name]), else_=old[name]) for name in columns}
    if kind is LastScoreRow:
        values["scored"] = case(
            (is_next_epoch, new.scored), (new.epoch == old.epoch, old.scored + new.scored), else_=old.scored
        )
        values["picture"] = case((is_newer & new.picture.is_not(None), new.picture), else_=old.picture)
    return values


def _newest_score(row: LastScoreRow) -> NewestScore:
    picture = None if row.picture is None else KeptPicture.read(row.picture.encode())
    last = LastScore.read(row.content.encode())
    return NewestScore(camera=row.camera, epoch=row.epoch, scored=row.scored, last=last, picture=picture)
