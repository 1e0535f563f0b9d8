"""The pictures of a calibration: the last of one camera, one of each part, or those of a folder."""

import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from steadyline.contracts.frame import Frame, FrameId
from steadyline.contracts.station import station_picture_key
from steadyline.digest import sha256
from steadyline.errors import InvalidConfiguration
from steadyline.kafka.broker import Partition, Record
from steadyline.ops.station_frames import folder_pictures, last_pictures, put_pictures
from steadyline.store import Store

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class KeptRecords:
    """A reader of records that lie in a list, each with its age in seconds; it keeps how far back was
    looked.
    """

    def __init__(self, *records: tuple[float, Record]) -> None:
        self.records, self.looked_back = records, list[float]()

    def read(
        self,
        topic: str,
        since: datetime | None = None,
        start: Mapping[Partition, int] | None = None,
        until: datetime | None = None,
    ) -> Iterator[Record]:
        assert since is not None
        back = (NOW - since).total_seconds()
        self.looked_back.append(back)
        yield from (record for age, record in self.records if age <= back)

    def close(self) -> None:
        """Nothing is open."""


def a_record(sequence: int, camera: str = "c1", part: str | None = None) -> Record:
    frame = Frame(
        FrameId(camera, 7, sequence), "l", "cell", NOW, "image/png", b"picture %d" % sequence, part=part
    )
    return Record(Partition("frames", 0), sequence, frame.key, frame.picture, tuple(frame.headers()), 0)


def test_the_last_frames_of_the_camera_are_taken_in_order_and_nothing_older_is_read() -> None:
    records = [(20 - number, a_record(number, "c2" if number % 2 else "c1")) for number in range(20)]
    reader = KeptRecords(*records, (0, Record(Partition("frames", 0), 99, b"c1", b"?", (), 0)))
    assert last_pictures(reader, "frames", "c1", 3, NOW) == [b"picture 14", b"picture 16", b"picture 18"]
    assert reader.looked_back == [5, 30]


def test_of_a_part_that_several_frames_show_the_last_one_is_taken() -> None:
    records = [(1, a_record(number, part=f"p{number // 3}")) for number in range(1, 12)]
    found = last_pictures(KeptRecords(*records), "frames", "c1", 4, NOW)
    assert found == [b"picture 2", b"picture 5", b"picture 8", b"picture 11"]


def test_a_camera_that_sends_too_little_is_named() -> None:
    with pytest.raises(InvalidConfiguration, match="camera c1 has sent 2 frames"):
        last_pictures(KeptRecords((9, a_record(1)), (9, a_record(2))), "frames", "c1", 8, NOW)


def test_a_folder_gives_its_pictures_and_says_when_there_are_none_or_too_many(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="has 0 pictures: take between 8 and 64"):
        folder_pictures(tmp_path)
    with pytest.raises(InvalidConfiguration, match="is no folder"):
        folder_pictures(tmp_path / "none")
    for number in range(8):
        (tmp_path / f"{number}.png").write_bytes(b"%d" % number)
    assert folder_pictures(tmp_path) == [b"%d" % number for number in range(8)]
    for number in range(8, 65):
        (tmp_path / f"{number}.png").write_bytes(b"%d" % number)
    with pytest.raises(InvalidConfiguration, match="has 65 pictures"):
        folder_pictures(tmp_path)


def test_pictures_lie_under_their_digest_where_the_trainer_reads_them() -> None:
    store = Store(f"memory://{uuid.uuid4().hex}")
    digests = put_pictures(store, "l", "cell", [b"one", b"two"])
    assert digests == [sha256(b"one"), sha256(b"two")]
    assert store.get(station_picture_key("l", "cell", digests[1])) == b"two"
