"""A file is replaced as a whole or not at all, and nothing half-written stays."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from steadyline.replace_file import replace_file

FULL_DISK = """
import pathlib, resource, sys
from steadyline.replace_file import replace_file
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    replace_file(pathlib.Path(sys.argv[1]), bytes(2000), sync=sys.argv[2] == "sync")
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.parametrize("sync", ["sync", "no sync"])
def test_when_the_disk_takes_no_more_the_old_file_stays_whole(tmp_path: Path, sync: str) -> None:
    path = tmp_path / "account.json"
    path.write_bytes(b"old")
    command = [sys.executable, "-c", FULL_DISK, str(path), sync]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert said.stdout == "File too large\n"
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("sync", [False, True])
def test_the_new_file_takes_the_place_of_the_old_one(tmp_path: Path, sync: bool) -> None:
    path = tmp_path / "account.json"
    for data in (b"first", b"second"):
        replace_file(path, data, sync=sync)
        assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_that_has_the_old_file_open_reads_it_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "account.json"
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        replace_file(path, b"new")
        assert reader.read() == b"old"


def test_what_a_killed_writer_has_left_harms_nothing(tmp_path: Path) -> None:
    path, left = tmp_path / "stack.env", tmp_path / ".stack.env.partial"
    left.write_bytes(b"half of something much longer")
    left.chmod(0o644)
    replace_file(path, b"KEY=x", mode=0o600)
    assert path.read_bytes() == b"KEY=x"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_the_permissions_follow_the_umask_as_those_of_any_new_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        replace_file(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_a_path_that_cannot_be_replaced_is_an_oserror_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        replace_file(tmp_path / "folder", b"data", partial=tmp_path / "beside")
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]
