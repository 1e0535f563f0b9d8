"""A folder has one holder at a time, whatever becomes of it, and keeps the text of the last one."""

import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from steadyline.child_process import ChildCommand, ChildProcess
from steadyline.folder_lock import FolderInUse, FolderLock
from tests.support.eventually import eventually

HOLDER = """
import pathlib, sys
from steadyline.folder_lock import FolderLock
lock = FolderLock(pathlib.Path(sys.argv[1]))
lock.take()
lock.keep("another process")
print("taken", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def another(tmp_path: Path) -> Iterator[ChildProcess]:
    """Another process that holds the folder."""
    lines: list[str] = []
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    child = ChildProcess(ChildCommand(command, on_line=lines.append, ends_with_parent=True))
    eventually(lambda: lines, within=30)
    yield child
    child.kill()


def test_a_folder_that_another_process_holds_is_refused_with_its_text(
    another: ChildProcess, tmp_path: Path
) -> None:
    with pytest.raises(FolderInUse) as refused:
        FolderLock(tmp_path).take()
    assert refused.value.text == "another process"
    assert another.poll() is None


def test_a_holder_that_is_killed_gives_it_back_and_leaves_its_text(
    another: ChildProcess, tmp_path: Path
) -> None:
    another.kill()
    with FolderLock(tmp_path) as lock:
        assert lock.read() == "another process"
        lock.keep("me")
        assert lock.read() == "me"


def test_the_same_process_cannot_hold_it_twice(tmp_path: Path) -> None:
    with FolderLock(tmp_path / "new"):
        with pytest.raises(FolderInUse):
            FolderLock(tmp_path / "new").take()
        with FolderLock(tmp_path / "new", "another-name") as lock:
            assert lock.read() == ""
    FolderLock(tmp_path / "new").release()


def test_what_is_released_can_be_taken_again_by_the_same_lock(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    for _ in range(2):
        lock.take()
        lock.release()
        lock.release()


def test_a_folder_that_was_removed_under_its_holder_is_made_and_locked_anew(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with FolderLock(folder):
        shutil.rmtree(folder)
        with FolderLock(folder), pytest.raises(FolderInUse):
            FolderLock(folder).take()


def test_a_lock_whose_file_its_holders_remove_has_one_holder_at_a_time_all_the_same(tmp_path: Path) -> None:
    def hold_and_remove() -> None:
        lock = FolderLock(tmp_path)
        for _ in range(1000):
            try:
                lock.take()
            except FolderInUse:
                continue
            (tmp_path / "mine").touch(exist_ok=False)
            (tmp_path / "mine").unlink()
            (tmp_path / "lock").unlink()
            lock.release()

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(hold_and_remove) for _ in range(4)]:
            done.result()


def test_a_folder_that_cannot_be_made_is_an_oserror(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        FolderLock(tmp_path / "file" / "folder").take()
