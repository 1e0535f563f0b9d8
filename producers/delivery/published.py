"""Read the end of the frames topic to find which frames of a camera the broker has."""

import threading
from collections.abc import Collection
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


def published_sequences(reader: Reader, topic: str, cameras: Collection[str], period: Period) -> Published:
    """Return the sequences of ``cameras`` that were published in ``period``.

    Reads all records of the topic in the period, whoever wrote them. Raises BrokerUnavailable.
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
    """Reads the topic once for all cameras of a process that have something to look up at their start."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._lock = threading.Lock()
        self._periods: dict[str, Period] = {}
        self._found: Published | None = None

    def want(self, camera: str, period: Period) -> None:
        """Announce that ``answer`` will be called; must be called before the first ``answer``."""
        self._periods[camera] = period

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
