"""What people say of frames: good, or a defect; it goes to the topic that the trainer reads."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session
from starlette.responses import Response

from alerts.api.auth import Operator, Principal, Viewer
from alerts.api.dependencies import Api, ApiDependencies
from alerts.api.page import ListPage, ListQuery, PlainName, PlainText, page_of, time_and_id
from alerts.api.problem import Refusal
from alerts.api.repeat import Done, Sent, find_repeat, once
from alerts.database.audit_store import AuditAct
from alerts.database.feedback_store import FeedbackFilter
from steadyline.contracts.feedback import Feedback, FrameLabel, MarkedRegion
from steadyline.contracts.frame import FrameId
from steadyline.errors import MalformedHeaders

router = APIRouter(prefix="/feedback", tags=["feedback"])


class FeedbackBody(BaseModel):
    """What is said of one frame."""

    model_config = ConfigDict(extra="forbid")

    frame: Annotated[str, Field(max_length=104)] = Field(description="Frame id, camera/epoch/sequence.")
    label: FrameLabel = Field(description="What it is; withdrawn takes an earlier label back.")
    product: PlainName | None = Field(None, description="Needed where the line file lists no cameras.")
    region: MarkedRegion | None = Field(None, description="Where the defect is.")
    note: PlainText | None = Field(None, description="What is said with it.")


class FeedbackListQuery(ListQuery):
    """Which labels."""

    camera: PlainName | None = None
    product: PlainName | None = None
    label: FrameLabel | None = None


@router.get("")
def list_feedback(query: Annotated[FeedbackListQuery, Query()], _: Viewer, api: Api) -> ListPage[Feedback]:
    """List the newest label of each frame, newest first."""
    chosen = FeedbackFilter(query.camera, query.product, query.label)
    with api.database.read() as session:
        found = api.stores.feedback.page(session, chosen, time_and_id(query.cursor), query.limit + 1)
    kept, following = page_of(found, query.limit, lambda one: (one.at.isoformat(), one.frame))
    return ListPage(items=kept, next=following)


@router.post("", status_code=201, response_model=Feedback)
def label_frame(body: FeedbackBody, who: Operator, api: Api, sent: Sent) -> Response:
    """Say what a frame is; the trainer goes by the newest word on it.

    The topic has it before the database does: nothing waits for the broker with the database in hand, and
    what was published and not noted is published again with the next try, which changes nothing.
    """
    before = find_repeat(api, sent.of(who))
    if before is not None:
        return before
    feedback = _feedback(api, body, who)
    api.labels.publish(feedback)

    def act(session: Session) -> Done:
        api.stores.feedback.put(session, feedback)
        noted = AuditAct(who.name, f"frame.{feedback.label}", f"frame/{feedback.frame}", feedback.note or "")
        api.stores.audit.write(session, noted, feedback.at)
        return Done(feedback)

    return once(api, sent.of(who), act)


def _feedback(api: ApiDependencies, body: FeedbackBody, who: Principal) -> Feedback:
    try:
        camera = FrameId.parse(body.frame).camera
    except MalformedHeaders as error:
        raise Refusal("invalid_request", "frame is camera/epoch/sequence") from error
    return Feedback(
        frame=body.frame,
        camera=camera,
        product=_product(api, camera, body.product),
        label=body.label,
        region=body.region,
        who=who.name,
        at=api.clock.now(),
        note=body.note,
    )


def _product(api: ApiDependencies, camera: str, said: str | None) -> str:
    if not api.line.cameras:
        if said not in api.line.products:
            raise Refusal("unknown_product")
        return str(said)
    products = [one.product for one in api.line.cameras if one.id == camera]
    if not products:
        raise Refusal("unknown_camera")
    if said not in (None, products[0]):
        raise Refusal("unknown_product", f"the camera looks at {products[0]}")
    return products[0]
