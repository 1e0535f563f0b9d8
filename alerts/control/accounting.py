"""The account of each camera as it is now: what was captured, and where it went. Pure."""

from pydantic import AwareDatetime, BaseModel, Field

from alerts.database.last_seen import NewestScore
from steadyline.contracts.camera_status import CameraStatus


class CameraAccount(BaseModel):
    """The counts of a camera's present run, from its newest status and the scores that were taken.

    The status is some seconds old and the scores are not, so ``unscored`` may be below zero for a moment.
    """

    camera: str
    product: str
    epoch: str = Field(description="The run that is counted: its start, in ns since 1970.")
    at: AwareDatetime | None = Field(
        description="When the producer has counted; null before its status came."
    )
    captured: int | None = Field(description="Frames captured, dropped ones included.")
    published: int | None = Field(description="Acknowledged by the broker.")
    pending: int | None = Field(description="Queued, spooled or in flight.")
    dropped: dict[str, int] = Field(description="Reason word → frames never published.")
    missing: int | None = Field(
        description="captured − published − pending − dropped: always 0 unless the accounts are broken."
    )
    scored: int = Field(description="Scores of this run that were taken; a frame scored twice counts twice.")
    unscored: int | None = Field(
        description="published − scored: waiting, refused (see the dead letters), or lost; "
        "`steadyline audit` tells which."
    )


class LineAccount(BaseModel):
    """All cameras, and their sums."""

    cameras: list[CameraAccount]
    captured: int
    published: int
    pending: int
    dropped: dict[str, int]
    missing: int
    scored: int
    unscored: int


def camera_account(
    camera: str, status: CameraStatus | None, score: NewestScore | None
) -> CameraAccount | None:
    """Return the account of a camera's newest run; None when nothing is known of it."""
    epochs = [one.epoch for one in (status, score) if one is not None]
    if not epochs:
        return None
    epoch = max(epochs)
    counted = status if status is not None and status.epoch == epoch else None
    scored = score.scored if score is not None and score.epoch == epoch else 0
    product = counted.product if counted is not None else score.last.product if score is not None else ""
    missing = None
    if counted is not None:
        missing = counted.captured - counted.published - counted.pending - sum(counted.dropped.values())
    return CameraAccount(
        camera=camera,
        product=product,
        epoch=str(epoch),
        at=counted.at if counted is not None else None,
        captured=counted.captured if counted is not None else None,
        published=counted.published if counted is not None else None,
        pending=counted.pending if counted is not None else None,
        dropped=dict(counted.dropped) if counted is not None else {},
        missing=missing,
        scored=scored,
        unscored=counted.published - scored if counted is not None else None,
    )


def line_account(cameras: list[CameraAccount]) -> LineAccount:
    """Return the accounts of a line with their sums; what is not known counts as nothing."""
    dropped: dict[str, int] = {}
    for camera in cameras:
        for reason, count in camera.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + count
    return LineAccount(
        cameras=cameras,
        captured=sum(camera.captured or 0 for camera in cameras),
        published=sum(camera.published or 0 for camera in cameras),
        pending=sum(camera.pending or 0 for camera in cameras),
        dropped=dropped,
        missing=sum(camera.missing or 0 for camera in cameras),
        scored=sum(camera.scored for camera in cameras),
        unscored=sum(camera.unscored or 0 for camera in cameras),
    )
