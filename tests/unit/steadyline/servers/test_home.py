"""A home has one user at a time, and only what servers wrote is removed from it."""

import re
from pathlib import Path

import pytest

from steadyline.servers import ServerFailed
from steadyline.servers.home import Home, clear_abandoned


def test_a_home_in_use_is_refused_with_the_process_that_uses_it(tmp_path: Path) -> None:
    first = Home(tmp_path)
    first.take()
    with pytest.raises(ServerFailed, match=r"in use by process \d+"):
        Home(tmp_path).take()
    first.release()


def test_a_home_that_was_released_can_be_taken_again(tmp_path: Path) -> None:
    for _ in range(2):
        home = Home(tmp_path)
        home.take()
        home.release()
    assert re.fullmatch(r"\d+", (tmp_path / "in-use").read_text())


def test_clearing_leaves_what_no_server_wrote(tmp_path: Path) -> None:
    (tmp_path / "kafka" / "data").mkdir(parents=True)
    (tmp_path / "mine.txt").write_text("precious")
    home = Home(tmp_path)
    home.take()
    home.clear()
    home.release()
    assert not (tmp_path / "kafka").exists()
    assert (tmp_path / "mine.txt").read_text() == "precious"


def test_only_abandoned_homes_are_cleared(tmp_path: Path) -> None:
    used, left = Home(tmp_path / "used"), Home(tmp_path / "left")
    used.take()
    left.take()
    left.release()
    clear_abandoned(tmp_path)
    assert used.path.exists()
    assert not left.path.exists()
    used.release()
