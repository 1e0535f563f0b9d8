"""What systems and editors leave in folders is no picture, no kind of defect, no reason to refuse a set."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from steadyline.demo.split import split_dataset
from steadyline.grid import Grid
from steadyline.line import PictureSection
from steadyline.picture import encode_png
from trainer.data.known_defects import read_known_defects
from trainer.data.mvtec import Preparation, read_normals, read_test
from trainer.data.normals import from_folder

HOW = Preparation(Grid.square(32), "gray")
APPLE_DOUBLE = b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(100)

READERS: dict[str, Callable[[Path], object]] = {
    "test": lambda folder: (read_test(folder, HOW).kinds, read_test(folder, HOW).names),
    "normals": lambda folder: read_normals(folder, HOW)[1],
    "fit": lambda folder: [source.id for source, _ in from_folder(folder, PictureSection(size=32))],
    "known defects": lambda folder: len(read_known_defects(folder / "known", HOW).masks),
    "demo": lambda folder: {
        path.relative_to(folder)
        for path in (*split_dataset(folder, 20).first, *split_dataset(folder, 20).more)
    },
}


def a_set(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for kind, count in (("train/good", 30), ("test/good", 8), ("test/crack", 8), ("known/crack", 2)):
        (folder / kind).mkdir(parents=True)
        for number in range(count):
            picture = encode_png(rng.integers(0, 256, (32, 32), np.uint8))
            (folder / kind / f"{number}.png").write_bytes(picture)
    return folder


def leave_behind(folder: Path) -> None:
    """Put into every folder what lies beside people's pictures."""
    for place in [folder, *(path for path in sorted(folder.rglob("*")) if path.is_dir())]:
        for name in (".ipynb_checkpoints", ".Trash-1000", ".thumbnails", "@eaDir", "__MACOSX", "#recycle"):
            (place / name / "good").mkdir(parents=True)
            for path in (place / name / "a.png", place / name / "good" / "a.png"):
                shutil.copy(folder / "test/good/0.png", path)
        for name in ("._0.png", ".DS_Store", "Thumbs.db", "desktop.ini"):
            (place / name).write_bytes(APPLE_DOUBLE)


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS.keys())
def test_every_reader_leaves_out_what_a_system_left(reader: Callable[[Path], object], tmp_path: Path) -> None:
    folder = a_set(tmp_path)
    clean = reader(folder)
    leave_behind(folder)
    assert reader(folder) == clean


def test_what_is_used_and_what_is_left_out_is_told(tmp_path: Path) -> None:
    folder = a_set(tmp_path)
    leave_behind(folder)
    (folder / "train/good/notes.bmp").write_bytes(b"BM")
    (folder / "train/good/more").mkdir()
    with capture_logs() as lines:
        from_folder(folder, PictureSection(size=32))
    (told,) = lines
    assert (told["event"], told["used"]) == ("pictures_found", 30)
    assert told["left_out"] == {
        "hidden, or of the system": "10, as #recycle",
        "a folder within it": "1, as more",
        "no .png, .jpg or .jpeg": "1, as notes.bmp",
    }


def test_links_to_folders_are_followed(tmp_path: Path) -> None:
    folder = a_set(tmp_path / "set")
    (folder / "test/crack").rename(tmp_path / "elsewhere")
    (folder / "test/crack").symlink_to(tmp_path / "elsewhere")
    assert read_test(folder, HOW).kinds.count("crack") == 8
