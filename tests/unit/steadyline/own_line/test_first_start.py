"""What a line makes once: what a start was cut off in the next one makes, or says what is to do."""

import threading
from pathlib import Path

import pytest

from steadyline.errors import InvalidConfiguration
from steadyline.own_line import services
from steadyline.own_line.first_start import make_keys, make_token
from steadyline.own_line.folders import LineFolders
from steadyline.own_line.services import NoFirstToken
from steadyline.signing import PRIVATE, PUBLIC

MADE = "print('sl_first')"
THERE_ARE_SOME = "import sys\nprint('there are tokens already', file=sys.stderr)\nsys.exit(2)"
BROKEN_OFF = (  # in a shell's background SIGINT is ignored, which a child inherits
    "import os, signal\nsignal.signal(signal.SIGINT, signal.SIG_DFL)\nos.kill(os.getpid(), signal.SIGINT)"
)


class FirstStart:
    """The folders of a line, and what makes the token: a module of one line named as the service is."""

    def __init__(self, folder: Path) -> None:
        self.folders = LineFolders(folder / "line.yaml", folder / "var")
        self.folders.database.parent.mkdir(parents=True)
        self.stop = threading.Event()
        self.note: str | None = None
        self._modules = folder

    def make_token(self, alerts: str) -> None:
        (self._modules / "alerts.py").write_text(alerts)
        environment = {"PYTHONPATH": str(self._modules), "PYTHONDONTWRITEBYTECODE": "1"}
        self.note = make_token(self.folders, environment, self.stop)


@pytest.fixture
def start(tmp_path: Path) -> FirstStart:
    return FirstStart(tmp_path)


def test_a_database_that_a_cut_off_start_left_without_a_token_gets_one(start: FirstStart) -> None:
    start.folders.database.touch()
    start.make_token(MADE)
    assert start.folders.token.read_text() == "sl_first\n"
    assert start.folders.token.stat().st_mode & 0o077 == 0


def test_a_token_that_a_person_has_taken_away_is_not_made_again(start: FirstStart) -> None:
    start.folders.database.touch()
    start.make_token(THERE_ARE_SOME)
    assert not start.folders.token.exists()
    assert "api-token is gone: put it back" in (start.note or "")


def test_a_new_database_that_gives_no_token_ends_the_start_with_why(start: FirstStart) -> None:
    with pytest.raises(NoFirstToken, match="there are tokens already"):
        start.make_token(THERE_ARE_SOME)


def test_a_signal_that_breaks_the_making_off_is_no_error(start: FirstStart) -> None:
    start.stop.set()
    start.make_token(BROKEN_OFF)
    assert not start.folders.token.exists()


def test_an_empty_answer_is_no_token(start: FirstStart) -> None:
    with pytest.raises(NoFirstToken, match="printed no token"):
        start.make_token("")
    assert not start.folders.token.exists()


def test_a_machine_that_takes_too_long_for_a_token_is_told_so(
    start: FirstStart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "TOKEN_SECONDS", 0.01)
    with pytest.raises(NoFirstToken, match="did not end within"):
        start.make_token("import threading\nthreading.Event().wait()")


def test_keys_are_made_once_and_never_one_without_the_other(start: FirstStart) -> None:
    partial = start.folders.keys.with_name(".keys.partial")
    partial.mkdir()
    (partial / PRIVATE).write_text("of a start that was cut off between the two")
    make_keys(start.folders)
    made = {path.name: path.read_text() for path in start.folders.keys.iterdir()}
    assert sorted(made) == sorted([PRIVATE, PUBLIC])
    make_keys(start.folders)
    assert {path.name: path.read_text() for path in start.folders.keys.iterdir()} == made
    assert not partial.exists()


@pytest.mark.parametrize("name", [PRIVATE, PUBLIC])
def test_half_a_pair_is_neither_used_nor_replaced(start: FirstStart, name: str) -> None:
    make_keys(start.folders)
    (start.folders.keys / name).unlink()
    (left,) = start.folders.keys.iterdir()
    before = left.read_text()
    with pytest.raises(InvalidConfiguration, match=f"{name} is missing: put it back"):
        make_keys(start.folders)
    assert left.read_text() == before
