"""One frame: why it opened an incident, or why it did not."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from alerts.api.auth import Engineer
from alerts.api.dependencies import Api, ApiDependencies
from alerts.api.page import Moment
from alerts.api.problem import Refusal
from alerts.api.routes.rules import busy
from alerts.simulation.frame import FrameWhy
from alerts.simulation.reading import TopicRead, TopicSpan
from alerts.simulation.simulator import SimulationBusy
from steadyline.contracts.frame import NAME, FrameId
from steadyline.contracts.message import MOST_INTEGER

router = APIRouter(prefix="/frames", tags=["frames"])

_SKEW = timedelta(hours=1)  # by which a camera's clock may be ahead of the broker's
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)

CameraName = Annotated[str, Path(pattern=f"^{NAME.pattern}$", description="Camera of the frame.")]
FrameNumber = Annotated[int, Path(ge=1, le=MOST_INTEGER, description="Number of the frame id.")]


class FrameQuery(BaseModel):
    """Where the search begins."""

    model_config = ConfigDict(extra="forbid")

    since: Moment | None = Field(
        None,
        description="Scores that the topic has since then are replayed, by the broker's clock; by default "
        "since the begin of the frame's epoch.",
    )


class FrameReasons(BaseModel):
    """Why a frame opened an incident, or did not."""

    why: FrameWhy
    recorded: bool | None = Field(
        description="Whether the database has the incident: false where what people did, or other rules in "
        "force at the time, made another of it; null where there is none."
    )
    topic: TopicRead = Field(description="How far the scores were read to find it.")


def _frame_id(camera: CameraName, epoch: FrameNumber, sequence: FrameNumber) -> FrameId:
    return FrameId(camera, epoch, sequence)


AskedFrame = Annotated[FrameId, Depends(_frame_id)]


@router.get("/{camera}/{epoch}/{sequence}/why")
async def tell_frame(
    frame: AskedFrame, query: Annotated[FrameQuery, Query()], _: Engineer, api: Api
) -> FrameReasons:
    """Tell why a frame opened an incident, or why it did not, by the rules in force.

    Its camera's scores are replayed from `since` up to it; how many are read is bounded, and one simulation
    runs at a time: another is answered by 409.
    """
    since = query.since or max(_FIRST, frame.began - _SKEW)
    try:
        future = api.simulator.explain_frame(frame, TopicSpan(since))
    except SimulationBusy as error:
        raise busy() from error
    found = await asyncio.wrap_future(future)
    if found.why is None:
        raise Refusal("no_such_frame", _how_far(found.topic, since))
    recorded = None
    if found.why.incident is not None:
        recorded = await run_in_threadpool(_is_recorded, api, found.why.incident)
    return FrameReasons(why=found.why, recorded=recorded, topic=found.topic)


def _is_recorded(api: ApiDependencies, incident: str) -> bool:
    with api.database.transaction() as session:
        return api.stores.incidents.find(session, incident) is not None


def _how_far(topic: TopicRead, since: datetime) -> str:
    looked = f"it has no score among the {topic.messages} that the topic has since {since:%F %T %Z}"
    return looked if topic.cut is None else f"{looked}, of which only the first were read ({topic.cut})"
