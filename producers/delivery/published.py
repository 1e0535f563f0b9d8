"""Looks at the end of the frames topic: which frames of a camera did the broker take?"""

import threading
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from producers.delivery.connection import LazyPublisher
from steadyline.contracts.frame import FrameId
from steadyline.errors import MalformedHeaders
from steadyline.kafka.broker import Reader, Record

# A record carries the time at which its producer queued it. Behind: clocks are set back by a little. Ahead:
# another machine's clock may run ahead by so much and end the search too early.
_BEHIND = timedelta(seconds=5)
_AHEAD = timedelta(seconds=60)

Published = dict[str, dict[int, set[int]]]  # camera -> epoch -> sequences


@dataclass(frozen=True, slots=True)
class Period:
    """When the records in question were queued; ``until`` None is now."""

    since: datetime
    until: datetime | None = None


def published_sequences(reader: Reader, topic: str, cameras: Collection[str], period: Period) -> Published:
    """Return the sequences of ``cameras`` that were published in ``period``.

    Raises BrokerUnavailable. Costs a read of the topic over the period, whoever wrote to it.
    """
    keys = {camera.encode() for camera in cameras}
    found: Published = {}
    until = period.until + _AHEAD if period.until is not None else None
    for record in reader.read(topic, since=period.since - _BEHIND, until=until):
        identity = _identity(record) if record.key in keys else None
        if identity is not None and identity.camera in cameras:
            found.setdefault(identity.camera, {}).setdefault(identity.epoch, set()).add(identity.sequence)
    return found


class PublishedFrames:
    """One read of the topic for all cameras of a process that have something to look up at its start."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._lock = threading.Lock()
        self._periods: dict[str, Period] = {}
        self._found: Published | None = None

    def want(self, camera: str, period: Period) -> None:
        """Announce a question; before the first ``answer``."""
        self._periods[camera] = period

    def answer(self, camera: str, publisher: LazyPublisher) -> dict[int, set[int]]:
        """Return epoch -> sequences of ``camera``; raises BrokerUnavailable, and may be asked again then."""
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
            return published_sequences(reader, self._topic, self._periods.keys(), whole)
        finally:
            reader.close()


def _identity(record: Record) -> FrameId | None:
    for name, value in record.headers:
        if name == "ce_id" and value is not None:
            try:
                return FrameId.parse(value.decode("utf-8", "replace"))
            except MalformedHeaders:
                return None  # not one of ours
    return None
