"""A part of the set-up is made once, again when it changed or broke, and never believed when half done."""

from pathlib import Path

import pytest

from tools.setup.part import STAMP, SetUpPart


class Counted:
    """A part that writes one file, counts how often it was made, and may fail."""

    def __init__(self, root: Path) -> None:
        self.source, self.folder = root / "lock", root / "made"
        self.source.write_text("1")
        self.made, self.fails = 0, False

    def part(self, also_from: str = "") -> SetUpPart:
        return SetUpPart("a part", self.folder, [self.source], self._make, self._contents, also_from)

    def _make(self, folder: Path) -> None:
        self.made += 1
        folder.mkdir(exist_ok=True)
        (folder / "half").touch()
        if self.fails:
            raise OSError("the network is gone")
        (folder / "whole").touch()

    def _contents(self, folder: Path) -> list[str]:
        return sorted(path.name for path in folder.glob("*") if path.name != STAMP)


@pytest.fixture
def counted(tmp_path: Path) -> Counted:
    return Counted(tmp_path)


def test_what_is_there_is_skipped(counted: Counted) -> None:
    counted.part().provide()
    counted.part().provide()
    assert counted.made == 1


def test_another_lock_makes_it_again(counted: Counted) -> None:
    counted.part().provide()
    counted.source.write_text("2")
    counted.part().provide()
    assert counted.made == 2


def test_another_java_makes_its_archive_again(counted: Counted) -> None:
    counted.part("17").provide()
    counted.part("21").provide()
    assert counted.made == 2


def test_what_was_left_half_done_is_made_again(counted: Counted) -> None:
    counted.part().provide()
    counted.source.write_text("2")
    counted.fails = True
    with pytest.raises(OSError, match="network"):
        counted.part().provide()
    counted.fails = False
    counted.source.write_text("1")  # even what the old stamp said is not believed any more
    counted.part().provide()
    assert counted.made == 3


def test_what_has_lost_something_since_is_made_again(counted: Counted) -> None:
    counted.part().provide()
    (counted.folder / "whole").unlink()
    counted.part().provide()
    assert counted.made == 2


def test_a_stamp_that_is_no_stamp_is_not_believed(counted: Counted) -> None:
    counted.part().provide()
    (counted.folder / STAMP).write_text("1")
    counted.part().provide()
    assert counted.made == 2
