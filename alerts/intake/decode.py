"""What a record of one topic says, once everything is checked that the rules and the database rely on."""

import math
import re
from datetime import datetime, timedelta

from alerts.incidents.observation import ModelSeen, ScoreSeen, StatusSeen
from steadyline.clock import Clock
from steadyline.contracts.camera_status import CameraStatus
from steadyline.contracts.frame import NAME, FrameId
from steadyline.contracts.headers import Event, check_event, require_key
from steadyline.contracts.model_event import ModelEvent
from steadyline.contracts.score import Score
from steadyline.errors import MalformedMessage
from steadyline.kafka.broker import Record
from steadyline.line import Line

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_AHEAD = timedelta(days=1)  # of a producer's clock, at most
_YEARS = range(2000, 2200)  # of any clock that is set; a moment at the end of time has no zone but its own


class RecordDecoder:
    """Decodes the messages of one line; raises PoisonMessage for what is not of it.

    None is what a camera or a product has said that the line file no longer has: such messages stay on their
    topics for long, some for ever, and nobody is to be told of them.
    """

    def __init__(self, line: Line, clock: Clock) -> None:
        self._line, self._clock = line.line, clock
        self._cameras = frozenset(camera.id for camera in line.cameras)
        self._products = frozenset(line.products)

    def score(self, record: Record) -> ScoreSeen | None:
        """Return a score with the trace of its frame."""
        said = check_event(record.headers, record.key, Score.TYPE, self._line)
        score = Score.decode(record.value)
        require_key(record.key, score.camera)
        frame = FrameId.parse(score.frame)
        if frame.camera != score.camera:
            raise MalformedMessage(f"frame {score.frame[:80]!r} is not of the camera {score.camera!r}")
        self._check_epoch(frame.epoch)
        _check_moments(score.captured_at, score.scored_at)
        if not all(math.isfinite(number) for number in (score.score, score.threshold, score.peak.value)):
            raise MalformedMessage("Score: a number that is not finite")
        is_known = self._has(score.camera, score.product)
        is_listed = score.camera in self._cameras
        return ScoreSeen(score, _traceparent(said), is_listed) if is_known else None

    def status(self, record: Record) -> StatusSeen | None:
        """Return a status of a camera."""
        check_event(record.headers, record.key, CameraStatus.TYPE, self._line)
        status = CameraStatus.decode(record.value)
        require_key(record.key, f"{status.camera}/{status.epoch}")
        self._check_epoch(status.epoch)
        _check_moments(status.at)
        is_known = self._has(status.camera, status.product)
        return StatusSeen(status, status.camera in self._cameras) if is_known else None

    def event(self, event: ModelEvent) -> ModelSeen | None:
        """Return a model event that is believed already."""
        _check_moments(event.at, *(change.at for change in event.changes))
        if event.health is not None:
            _check_moments(event.health.at)
        return ModelSeen(event) if event.product in self._products else None

    def _check_epoch(self, epoch: int) -> None:
        """Raise MalformedMessage for a run that is yet to begin: all real ones would be older."""
        if epoch > (self._clock.now() + _AHEAD).timestamp() * 1e9:
            raise MalformedMessage(f"the epoch {epoch} begins in the future")

    def _has(self, camera: str, product: str) -> bool:
        """A line file that lists no camera takes any camera of its products; the database so many."""
        named = camera in self._cameras if self._cameras else NAME.fullmatch(camera) is not None
        return named and product in self._products


def _check_moments(*moments: datetime) -> None:
    """Raise MalformedMessage for a moment that no clock of a line shows."""
    for moment in moments:
        if moment.year not in _YEARS:
            raise MalformedMessage(f"a moment in the year {moment.year}")


def _traceparent(said: Event) -> str | None:
    """Return the trace of a frame; a text that is none is no reason to refuse its score."""
    found = said.traceparent or ""
    return found if _TRACEPARENT.fullmatch(found) else None
