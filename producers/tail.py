"""Looks at the end of the frames topic: which frames of a camera did the broker take?"""

from datetime import datetime, timedelta

from steadyline.contracts.frame import FrameId
from steadyline.errors import MalformedHeaders
from steadyline.kafka.broker import Reader, Record

# A record carries the time of its producer's clock when it was queued; clocks get set back by a little.
_MARGIN = timedelta(seconds=60)


def published_sequences(reader: Reader, topic: str, camera: str, since: datetime) -> dict[int, set[int]]:
    """Return epoch → sequences of ``camera`` that were published since then.

    Raises BrokerUnavailable. Costs a read of the topic from ``since`` to its end.
    """
    found: dict[int, set[int]] = {}
    key = camera.encode()
    for record in reader.read(topic, since - _MARGIN):
        identity = _identity(record) if record.key == key else None
        if identity is not None and identity.camera == camera:
            found.setdefault(identity.epoch, set()).add(identity.sequence)
    return found


def _identity(record: Record) -> FrameId | None:
    for name, value in record.headers:
        if name == "ce_id" and value is not None:
            try:
                return FrameId.parse(value.decode("utf-8", "replace"))
            except MalformedHeaders:
                return None  # not one of ours
    return None
