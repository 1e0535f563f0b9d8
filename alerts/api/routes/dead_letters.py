"""Dead letters: what was refused and why, and sending a frame through the line again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session
from starlette.responses import Response

from alerts.api.auth import Admin, Engineer
from alerts.api.dependencies import Api, ApiDependencies
from alerts.api.page import ListPage, ListQuery, Moment, PlainName
from alerts.api.problem import Refusal
from alerts.api.repeat import Done, Sent, find_repeat, once
from alerts.control.letters import DeadLetterDesk, LetterPlace, LetterQuery, ShownLetter, plain
from alerts.database.audit_store import AuditAct
from steadyline.contracts.message import MOST_INTEGER
from steadyline.kafka.dead_letters.letter import TopicPosition

router = APIRouter(prefix="/dead-letters", tags=["dead letters"])

PartitionNumber = Annotated[int, Path(ge=0, lt=100_000, description="Partition of the dead letters.")]
LetterOffset = Annotated[int, Path(ge=0, le=MOST_INTEGER - 1, description="Offset of the letter on it.")]


class LetterListQuery(ListQuery):
    """Which letters."""

    limit: int = Field(20, ge=1, le=100, description="Letters of the page, at most.")
    cursor: str | None = Field(None, max_length=16_000, description="What the page before gave as next.")
    reason: PlainName | None = Field(None, description="Reason word.")
    topic: PlainName | None = Field(None, description="Topic that the refused message was on.")
    camera: PlainName | None = None
    since: Moment | None = Field(None, description="Refused then or later.")


class LetterView(BaseModel):
    """A refused message, of which no byte is shown as it is."""

    partition: int
    offset: int
    at: AwareDatetime = Field(description="When it was refused.")
    reason: str
    error: str = Field(description="What was wrong with it.")
    topic: str = Field(description="Topic that it was on; empty when nobody knows.")
    source: str | None = Field(description="Its place there, partition/offset.")
    camera: str = Field(description="Camera that it names; empty for none.")
    frame: str | None = Field(description="Frame that it names.")
    bytes: int = Field(description="Size of its value.")
    head: str = Field(description="How its value begins, in ASCII with escapes.")
    replayed_from: str | None = Field(description="The earlier letter, partition/offset, whose replay it is.")


class LetterFate(BaseModel):
    """A letter, and whether its frame may be sent through the line again."""

    letter: LetterView
    replay: str | None = Field(description="What became of an earlier replay, in words; null for none.")
    refusal: str | None = Field(description="Why it is not to be replayed, in words; null when it may be.")


class ReplayOrder(BaseModel):
    """How to replay."""

    model_config = ConfigDict(extra="forbid")

    again: bool = Field(
        False, description="Also when it was replayed before; its frame is then scored twice."
    )


class ReplayedFrame(BaseModel):
    """A refused frame that waits for the scorers once more."""

    partition: int
    offset: int
    frame: str | None
    topic: str = Field(description="Topic that it was written to, to the partition it came from.")


@router.get("")
def list_letters(query: Annotated[LetterListQuery, Query()], _: Engineer, api: Api) -> ListPage[LetterView]:
    """List what was refused, newest first; a page may be short or even empty while others follow."""
    after = None
    if query.cursor is not None:
        after = LetterPlace.parse(query.cursor)
        if after is None:
            raise Refusal("invalid_cursor")
    chosen = LetterQuery(query.reason, query.topic, query.camera, query.since)
    with _reading(api) as letters:
        page = letters.page(chosen, after, query.limit)
    following = None if page.next is None else page.next.encode()
    return ListPage(items=[_view(shown) for shown in page.letters], next=following)


@router.get("/{partition}/{offset}")
def show_letter(partition: PartitionNumber, offset: LetterOffset, _: Engineer, api: Api) -> LetterFate:
    """Show one letter, and what became of its replay; that may take seconds, since topics are read for it."""
    with _reading(api) as letters:
        found = letters.find(TopicPosition(partition, offset))
    if found is None:
        raise Refusal("no_such_letter")
    shown, past, why = found
    return LetterFate(letter=_view(shown), replay=past or None, refusal=why or None)


class _ReplayRequest:
    """One letter that somebody wants to have sent through the line again."""

    def __init__(self, partition: PartitionNumber, offset: LetterOffset, who: Admin, sent: Sent) -> None:
        self.place, self.who, self.key = TopicPosition(partition, offset), who, sent.of(who)


@router.post("/{partition}/{offset}/replay", status_code=202, response_model=ReplayedFrame)
def replay_letter(
    request: Annotated[_ReplayRequest, Depends()], api: Api, body: ReplayOrder | None = None
) -> Response:
    """Write the refused frame back to its topic, untouched, for the scorers to take once more.

    Mend the cause first. A letter is replayed once, unless ``again`` is said.
    """
    before = find_repeat(api, request.key)
    if before is not None:
        return before
    with _reading(api) as letters:
        found = letters.find(request.place)
        if found is None:
            raise Refusal("no_such_letter")
        shown, past, why = found
        if why and not (past and body is not None and body.again):
            raise Refusal("replay_refused", why)
        replayed = letters.send_back(request.place)
    if replayed is None:
        raise Refusal("no_such_letter")
    if replayed.problem:
        raise Refusal("unavailable", replayed.problem, Retry_After="5")
    topic = api.line.kafka_topics().frames.name
    frame = None if shown.letter.frame is None else str(shown.letter.frame)

    def act(session: Session) -> Done:
        noted = AuditAct(request.who.name, "letter.replay", f"letter/{request.place}", frame or "")
        api.stores.audit.write(session, noted, api.clock.now())
        answer = ReplayedFrame(
            partition=request.place.partition, offset=request.place.offset, frame=frame, topic=topic
        )
        return Done(answer, 202)

    return once(api, request.key, act)


@contextmanager
def _reading(api: ApiDependencies) -> Iterator[DeadLetterDesk]:
    desk = api.control.letters
    if not desk.places.acquire(blocking=False):
        raise Refusal("too_many_requests", "others are reading the dead letters", Retry_After="2")
    try:
        yield desk
    finally:
        desk.places.release()


def _view(shown: ShownLetter) -> LetterView:
    letter = shown.letter
    return LetterView(
        partition=letter.place.partition,
        offset=letter.place.offset,
        at=letter.at,
        reason=plain(letter.reason),
        error=plain(letter.error),
        topic=plain(letter.source_topic),
        source=None if letter.source is None else str(letter.source),
        camera=plain(letter.camera),
        frame=None if letter.frame is None else str(letter.frame),
        bytes=letter.size,
        head=shown.head,
        replayed_from=None if letter.replayed_from is None else str(letter.replayed_from),
    )
