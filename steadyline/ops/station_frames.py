"""Finds the pictures that a camera's station is calibrated with, and puts them where the trainer reads
them.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from steadyline.contracts.frame import Frame
from steadyline.contracts.station import MOST_PICTURES, station_picture_key
from steadyline.digest import sha256
from steadyline.errors import InvalidConfiguration, PoisonMessage
from steadyline.kafka.broker import Reader, Record
from steadyline.picture_folder import find_pictures
from steadyline.store import Store

# How far back is looked, step by step, since a day of frames may be a terabyte.
LOOK_BACK = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 300, 3600, 86_400))


def last_pictures(reader: Reader, topic: str, camera: str, count: int, now: datetime) -> list[bytes]:
    """Return the encoded pictures of the last frames of a camera, oldest first, one of each part that is
    named.

    Raises InvalidConfiguration when there are fewer within a day, BrokerUnavailable.
    """
    found: list[Frame] = []
    for back in LOOK_BACK:
        found = _last(reader.read(topic, since=now - back), camera, count)
        if len(found) == count:
            return [frame.picture for frame in found]
    raise InvalidConfiguration(
        f"camera {camera} has sent {len(found)} frames (of different parts, where named) within a day, "
        f"and {count} are wanted: is it running?"
    )


def folder_pictures(folder: Path) -> list[bytes]:
    """Return the encoded pictures of a folder; raises InvalidConfiguration when there are none, or too
    many.
    """
    if not folder.is_dir():
        raise InvalidConfiguration(f"{folder} is no folder")
    files = find_pictures(folder).files
    if not 1 <= len(files) <= MOST_PICTURES:
        raise InvalidConfiguration(
            f"{folder} has {len(files)} pictures: take between 8 and {MOST_PICTURES} of them"
        )
    try:
        return [path.read_bytes() for path in files]
    except OSError as error:
        raise InvalidConfiguration(f"{error.filename} cannot be read: {error.strerror}") from error


def put_pictures(store: Store, line: str, product: str, pictures: Sequence[bytes]) -> list[str]:
    """Put pictures where the trainer reads them, and return their digests; raises StoreUnavailable."""
    digests = []
    for picture in pictures:
        digests.append(sha256(picture))
        store.put(station_picture_key(line, product, digests[-1]), picture)
    return digests


def _last(records: Iterable[Record], camera: str, count: int) -> list[Frame]:
    kept: deque[Frame] = deque()
    for record in records:
        if record.key != camera.encode():
            continue
        try:
            frame = Frame.decode(record.value, record.headers)
        except PoisonMessage:
            continue
        if frame.part is not None:
            kept = deque(known for known in kept if known.part != frame.part)
        kept.append(frame)
        if len(kept) > count:
            kept.popleft()
    return list(kept)
