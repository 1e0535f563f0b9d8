"""The spool keeps frames in order on disk, is bounded, and is found again whole after a crash."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from producers.delivery import spool as spool_module
from producers.delivery.segment import pack, scan, segments
from producers.delivery.spool import Spool
from steadyline.contracts.frame import Frame, FrameId

NOW = timedelta(0)
STOP = threading.Event()


def a_frame(sequence: int, epoch: int = 5, size: int = 100) -> Frame:
    moment = datetime(2026, 1, 1, 0, 0, 0, 123456 + sequence, tzinfo=UTC)
    picture = bytes([sequence % 256]) * size
    return Frame(FrameId("c1", epoch, sequence), "l1", "p1", moment, "image/png", picture, f"00-{sequence}")


class DroppedFromSpool(list[tuple[int, str]]):
    def note(self, frame: FrameId, reason: str) -> None:
        self.append((frame.sequence, reason))


def a_spool(root: Path, most: int = 1 << 20) -> tuple[Spool, DroppedFromSpool]:
    (root / "5").mkdir(exist_ok=True)
    dropped = DroppedFromSpool()
    return Spool("c1", root, most, dropped.note), dropped


def drain(spool: Spool) -> list[Frame]:
    taken = []
    while (frame := spool.take(NOW)) is not None:
        taken.append(frame)
    return taken


def test_frames_come_back_whole_and_in_order(tmp_path: Path) -> None:
    spool, _ = a_spool(tmp_path)
    frames = [a_frame(sequence) for sequence in range(1, 6)]
    for frame in frames:
        spool.put(frame, STOP)
    assert drain(spool) == frames


def test_a_frame_comes_back_with_its_part_and_one_without_is_written_as_before(tmp_path: Path) -> None:
    spool, _ = a_spool(tmp_path)
    frame = replace(a_frame(1), part="SN 7/Ä")
    spool.put(frame, STOP)
    assert drain(spool) == [frame]
    assert b'["l1", "p1", "image/png", "00-1"]' in pack(a_frame(1))


def test_a_segment_is_deleted_once_all_its_frames_are_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "SEGMENT_BYTES", 300)
    spool, _ = a_spool(tmp_path)
    for sequence in range(1, 7):
        spool.put(a_frame(sequence), STOP)
    assert len(segments(tmp_path / "5")) == 3
    drain(spool)
    for sequence in (2, 1, 4):
        spool.settle(FrameId("c1", 5, sequence))
    assert [path.name[:20].lstrip("0") for path in segments(tmp_path / "5")] == ["3", "5"]
    for sequence in (3, 5, 6):
        spool.settle(FrameId("c1", 5, sequence))
    spool.close("stopped")
    assert segments(tmp_path / "5") == []
    assert spool.size_bytes == 0


def test_a_full_spool_drops_the_new_frame_and_takes_on_again(tmp_path: Path) -> None:
    spool, dropped = a_spool(tmp_path, most=len(pack(a_frame(1))) * 2)
    for sequence in (1, 2, 3):
        spool.put(a_frame(sequence), STOP)
    assert dropped == [(3, "spool_full")]
    assert len(drain(spool)) == 2


@pytest.mark.parametrize("records", [1, 3, 20])
def test_a_spool_that_is_smaller_than_a_segment_never_fills_with_frames_that_were_sent(
    tmp_path: Path, records: int
) -> None:
    spool, dropped = a_spool(tmp_path, most=len(pack(a_frame(1000))) * records)
    for sequence in range(1000, 1100):
        spool.put(a_frame(sequence), STOP)
        drain(spool)
        spool.settle(FrameId("c1", 5, sequence))
    assert dropped == []


def test_a_disk_that_refuses_is_a_drop_with_a_reason(tmp_path: Path) -> None:
    spool, dropped = a_spool(tmp_path)
    spool.put(a_frame(1, epoch=99), STOP)  # its folder is not there
    assert dropped == [(1, "spool_failed")]
    spool.put(a_frame(2), STOP)
    assert [frame.id.sequence for frame in drain(spool)] == [2]


def test_the_next_run_finds_what_was_left_and_sends_it_first(tmp_path: Path) -> None:
    killed, _ = a_spool(tmp_path)
    for sequence in range(1, 6):
        killed.put(a_frame(sequence), STOP)
    spool, _ = a_spool(tmp_path)
    (tmp_path / "6").mkdir()
    spool.put(a_frame(1, epoch=6), STOP)
    spool.adopt(spool.find(5), {3, 4, 5})
    assert [(frame.id.epoch, frame.id.sequence) for frame in drain(spool)] == [(5, 3), (5, 4), (5, 5), (6, 1)]
    for sequence in (3, 4, 5):
        spool.settle(FrameId("c1", 5, sequence))
    assert segments(tmp_path / "5") == []


def test_nothing_wanted_leaves_nothing_behind(tmp_path: Path) -> None:
    killed, _ = a_spool(tmp_path)
    killed.put(a_frame(1), STOP)
    spool, _ = a_spool(tmp_path)
    spool.adopt(spool.find(5), set())
    assert segments(tmp_path / "5") == []
    assert spool.size_bytes == 0


@pytest.mark.parametrize("left", [1, 20, 60, 200])
def test_a_record_cut_off_by_a_crash_is_no_frame_and_the_ones_before_are(tmp_path: Path, left: int) -> None:
    killed, _ = a_spool(tmp_path)
    for sequence in (1, 2):
        killed.put(a_frame(sequence, size=300), STOP)
    (path,) = segments(tmp_path / "5")
    length = len(pack(a_frame(1, size=300)))
    with path.open("r+b") as file:
        file.truncate(length + left)
    assert [identity.sequence for identity, _ in scan("c1", path)] == [1]


def test_a_damaged_record_is_dropped_and_the_next_is_sent(tmp_path: Path) -> None:
    spool, dropped = a_spool(tmp_path)
    for sequence in (1, 2):
        spool.put(a_frame(sequence), STOP)
    (path,) = segments(tmp_path / "5")
    data = bytearray(path.read_bytes())
    data[100] ^= 0xFF
    path.write_bytes(bytes(data))
    assert spool.take(NOW) is None
    assert dropped == [(1, "spool_corrupt")]
    assert [frame.id.sequence for frame in drain(spool)] == [2]


def test_noise_is_no_segment(tmp_path: Path) -> None:
    path = tmp_path / "00000000000000000001.frames"
    path.write_bytes(b"\xff" * 1000)
    assert list(scan("c1", path)) == []
