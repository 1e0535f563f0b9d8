"""Read the end of the frames topic to find which frames of a camera the broker has."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from producers.delivery.connection import LazyPublisher
from steadyline.contracts.frame import FrameId
from steadyline.errors import MalformedHeaders
from steadyline.kafka.broker import Reader, Record

# A record carries the time at which its producer queued it. Clocks may be set back by _BEHIND. Another
# machine's clock may run ahead by _AHEAD, which must not end the search too early.
_BEHIND = timedelta(seconds=5)
_AHEAD = timedelta(seconds=60)

Published = dict[str, dict[int, set[int]]]  # camera -> epoch -> sequences


@dataclass(frozen=True, slots=True)
class Period:
    """When the records in question were queued; ``until`` is None for now."""

    since: datetime
    until: datetime | None = None


# Tells whether a frame with this id and these headers is one that the producer of the camera has published.
IsOwn = Callable[[FrameId, Sequence[tuple[str, bytes | None]]], bool]


def published_sequences(reader: Reader, topic: str, own: Mapping[str, IsOwn], period: Period) -> Published:
    """Return the sequences of the cameras in ``own`` that were published in ``period``.

    Reads all records of the topic in the period, whoever wrote them, and believes those that are the camera's
    own. Raises BrokerUnavailable.
    """
    keys = {camera.encode() for camera in own}
    found: Published = {}
    until = period.until + _AHEAD if period.until is not None else None
    for record in reader.read(topic, since=period.since - _BEHIND, until=until):
        identity = _identity(record) if record.key in keys else None
        if identity is None or record.key != identity.camera.encode():
            continue
        if own[identity.camera](identity, record.headers):
            found.setdefault(identity.camera, {}).setdefault(identity.epoch, set()).add(identity.sequence)
    return found


class PublishedFrames:
    """Reads the topic once for all cameras of a process that have something to look up at their start."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._lock = threading.Lock()
        self._periods: dict[str, Period] = {}
        self._own: dict[str, IsOwn] = {}
        self._found: Published | None = None

    def want(self, camera: str, period: Period, is_own: IsOwn) -> None:
        """Announce that ``answer`` will be called; must be called before the first ``answer``."""
        self._periods[camera], self._own[camera] = period, is_own

    def answer(self, camera: str, publisher: LazyPublisher) -> dict[int, set[int]]:
        """Return the sequences of ``camera`` by epoch; raises BrokerUnavailable, and may then be repeated."""
        with self._lock:
            if self._found is None:
                self._found = self._published_frames(publisher)
            return self._found.get(camera, {})

    def _published_frames(self, publisher: LazyPublisher) -> Published:
        periods = list(self._periods.values())
        ends = [period.until for period in periods if period.until is not None]
        until = max(ends) if len(ends) == len(periods) else None
        reader = publisher.reader()
        try:
            whole = Period(min(period.since for period in periods), until)
            return published_sequences(reader, self._topic, self._own, whole)
        finally:
            reader.close()


def _identity(record: Record) -> FrameId | None:
    """Return the id that a record claims; None when it claims none, or several."""
    claimed = [value or b"" for name, value in record.headers if name == "ce_id"]
    try:
        return FrameId.parse(claimed[0].decode("utf-8", "replace")) if len(claimed) == 1 else None
    except MalformedHeaders:
        return None  # not one of ours
