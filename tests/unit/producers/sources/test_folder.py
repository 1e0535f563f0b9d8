"""A folder is replayed in order, in a loop or watched; what cannot be read is a capture with a reason."""

import os
import threading
from datetime import timedelta
from itertools import islice
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from typing_extensions import override

from producers.sources.address import FolderOptions
from producers.sources.folder import FolderPlace, FolderSource
from producers.sources.part_names import PartNames
from producers.sources.source import CameraLost, Capture, Encoded
from steadyline.clock import ManualClock
from steadyline.errors import PictureTooLarge


def a_source(folder: Path, options: FolderOptions, clock: ManualClock | None = None) -> FolderSource:
    return FolderSource(FolderPlace("c1", folder), options, 1000, clock or ManualClock())


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(name.encode())


def texts(captures: list[Capture]) -> list[str]:
    return [capture.content.data.decode() for capture in captures if isinstance(capture.content, Encoded)]


def test_files_come_in_order_of_their_names_and_then_the_source_ends(tmp_path: Path) -> None:
    fill(tmp_path, "b.png", "a.jpg", ".hidden")
    (tmp_path / "sub").mkdir()
    found = list(a_source(tmp_path, FolderOptions()).captures(threading.Event()))
    assert texts(found) == ["a.jpg", "b.png"]
    assert [c.content.content_type for c in found if isinstance(c.content, Encoded)] == [
        "image/jpeg",
        "image/png",
    ]


def test_the_name_of_a_file_names_the_part_and_the_names_of_folders_do_not(tmp_path: Path) -> None:
    names = "SN-007_top.png", "SN-007_side.png", "other.png", "a" * 130 + "SN-008_.png"
    (tmp_path / "SN-999_").mkdir()
    fill(tmp_path / "SN-999_", *names)
    place = FolderPlace("c1", tmp_path, PartNames.parse("(?P<part>SN-[0-9]+)_"))
    source = FolderSource(place, FolderOptions(recursive=True), 1000, ManualClock())
    found = {Path(one.file or "").name: one.part for one in source.captures(threading.Event())}
    assert [found[name] for name in names] == ["SN-007", "SN-007", None, None]


def test_a_loop_begins_again_at_the_wanted_rate(tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "b.png")
    captures = a_source(tmp_path, FolderOptions(loop=True, fps=2)).captures(threading.Event())
    found = list(islice(captures, 5))
    assert texts(found) == ["a.png", "b.png", "a.png", "b.png", "a.png"]
    assert (found[4].captured_at - found[0].captured_at).total_seconds() == 2.0


def test_sub_folders_are_entered_when_asked(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    fill(tmp_path / "sub", "a.png")
    found = list(a_source(tmp_path, FolderOptions(recursive=True)).captures(threading.Event()))
    assert texts(found) == ["a.png"]


def test_a_file_over_the_limit_is_never_read_whole(tmp_path: Path) -> None:
    (tmp_path / "big.jpg").write_bytes(b"x" * 1001)
    (found,) = a_source(tmp_path, FolderOptions()).captures(threading.Event())
    assert isinstance(found.content, PictureTooLarge)


def test_what_is_no_file_is_left_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "nowhere.jpg").symlink_to(tmp_path / "gone")
    fill(tmp_path, "a.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    found = list(a_source(tmp_path, FolderOptions()).captures(threading.Event()))
    assert texts(found) == ["a.png", "a.png"]


def test_a_missing_folder_is_a_lost_camera_and_so_is_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(CameraLost, match="cannot be listed") as caught:
        list(a_source(tmp_path / "gone", FolderOptions()).captures(threading.Event()))
    assert caught.value.why == "folder_missing"
    with pytest.raises(CameraLost, match="no files") as caught:
        list(a_source(tmp_path, FolderOptions()).captures(threading.Event()))
    assert caught.value.why == "no_files"


class Visitor(ManualClock):
    """Adds a file each time the source waits, a few times; then sets stop."""

    def __init__(self, folder: Path, names: list[str], stop: threading.Event) -> None:
        super().__init__()
        self._folder = folder
        self._names = names
        self._stop = stop

    @override
    def wait(self, stop: threading.Event, duration: timedelta) -> bool:
        if self._names:
            fill(self._folder, self._names.pop(0))
        elif stop is self._stop and self.monotonic() > 5:
            self._stop.set()
        return super().wait(stop, duration)


def test_a_watched_folder_gives_new_files_once_complete(tmp_path: Path) -> None:
    fill(tmp_path, "old.png")
    stop = threading.Event()
    clock = Visitor(tmp_path, ["a.png", "b.png"], stop)
    source = a_source(tmp_path, FolderOptions(watch=True, fps=100), clock)
    assert texts(list(source.captures(stop))) == ["old.png", "a.png", "b.png"]
    assert source.expected_fps is None


def test_a_watched_folder_can_leave_out_what_is_there(tmp_path: Path) -> None:
    fill(tmp_path, "old.png")
    stop = threading.Event()
    clock = Visitor(tmp_path, ["a.png"], stop)
    source = a_source(tmp_path, FolderOptions(watch=True, existing=False, fps=100), clock)
    assert texts(list(source.captures(stop))) == ["a.png"]


def a_tree(folder: Path) -> None:
    """Lay out what systems and editors leave where people keep pictures, beside two pictures."""
    left_behind = (".ipynb_checkpoints", "@eaDir/a.png", ".Trash-1000/files", ".thumbnails", "__MACOSX")
    for place in (*left_behind, "deep"):
        (folder / place).mkdir(parents=True)
        fill(folder / place, "a.png")
    fill(folder, "a.png", "._a.png", ".DS_Store", "Thumbs.db", "desktop.ini")
    (folder / "deep" / "again").symlink_to(folder)


def test_nothing_that_a_system_left_is_a_picture(tmp_path: Path) -> None:
    a_tree(tmp_path)
    source = a_source(tmp_path, FolderOptions(recursive=True, loop=True))
    with capture_logs() as lines:
        found = list(islice(source.captures(threading.Event()), 4))
    assert [capture.file for capture in found] == ["a.png", "deep/a.png"] * 2
    (first,) = lines
    assert (first["event"], first["camera"], first["used"]) == ("pictures_found", "c1", 2)
    assert first["left_out"]["hidden, or of the system"].startswith("9, as ")
    assert first["left_out"]["a link to a folder that was walked over already"] == "1, as deep/again"


def test_a_name_of_any_bytes_is_named(tmp_path: Path) -> None:
    for name in (b"\xff.png", b"a\nb.png", "\u202egnp.png".encode()):
        (tmp_path / os.fsdecode(name)).write_bytes(b"x")
    found = list(a_source(tmp_path, FolderOptions()).captures(threading.Event()))
    assert sorted(str(capture.file) for capture in found) == ["\\xff.png", "a·b.png", "·gnp.png"]
