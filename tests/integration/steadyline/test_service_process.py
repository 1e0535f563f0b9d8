"""How a process of ours ends: each error has its exit status, a bug its stack, and no text is mark-up."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from steadyline.service import EXIT_BUG, EXIT_FATAL, EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE
from tests.support.eventually import eventually
from tests.support.example_service import HOSTILE
from tests.support.servers import ROOT

WITHIN = 60.0  # seconds; torch is imported meanwhile by some
NOWHERE = "127.0.0.1:1"
SHOWN = HOSTILE.replace("\x1b", "·")
LINE = """
line: test
topics: {prefix: t, partitions: 2}
products: {part: {}}
cameras:
  - {id: c1, product: part, source: "synthetic:?fps=5&size=16"}
"""


def environment(home: Path) -> dict[str, str]:
    """Return variables that lead nowhere and keep every folder in ``home``."""
    (home / "repository").mkdir(exist_ok=True)
    return {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": NOWHERE,
        "TRITON_URL": NOWHERE,
        "REDIS_URL": f"redis://{NOWHERE}/0",
        "TRITON_REPOSITORY": str(home / "repository"),
        "TRAINER_WORK": str(home / "work"),
        "PRODUCERS_STATE": str(home / "state"),
    }


def ends(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run ``python -m …`` to its end, its standard input held open as a parent of a child process does."""
    reading, writing = os.pipe()
    try:
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env=environment(home),
            stdin=reading,
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
        )
    finally:
        os.close(reading)
        os.close(writing)


def events(log: str, name: str) -> list[dict[str, Any]]:
    """Return the structured events of a log that have this name."""
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == name]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "line.yaml").write_text(LINE)
    (tmp_path / "data" / "train" / "good").mkdir(parents=True)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "SHA256SUMS").touch()
    return tmp_path


BUGS = {
    "producers run": ("open", "account.json", "producers run --line {home}/line.yaml"),
    "scorer run": ("import", "fsspec.implementations", "scorer run --line {home}/line.yaml"),
    "trainer run": ("import", "fsspec.implementations", "trainer run --line {home}/line.yaml"),
    "trainer job": ("open", "line.yaml", "trainer job --line {home}/line.yaml --work {home}"),
    "trainer fit": ("os.scandir", "train/good", "trainer fit --data {home}/data --out {home}/out"),
    "trainer evaluate": ("open", "SHA256SUMS", "trainer evaluate --data {home}/data --model {home}/model"),
    "steadyline topics": ("open", "line.yaml", "steadyline topics check --line {home}/line.yaml"),
}


@pytest.mark.parametrize("command", BUGS)
def test_a_bug_is_logged_once_with_its_stack_and_the_status_is_70(command: str, home: Path) -> None:
    event, text, line = BUGS[command]
    done = ends(home, "tests.support.planted_bug", event, text, *line.format(home=home).split())
    assert done.returncode == EXIT_BUG, done.stderr
    (bug,) = events(done.stderr, "bug")
    assert (bug["service"], bug["level"], bug["error"]) == (command.split()[0], "error", "a planted bug")
    assert "ZeroDivisionError: a planted bug" in bug["exception"]
    assert "planted_bug.py" in bug["exception"]
    assert done.stderr.count("Traceback") == 1


def test_a_bug_is_told_even_where_the_log_settings_are_wrong(home: Path) -> None:
    line = f"steadyline topics check --line {home}/line.yaml".split()
    command = [sys.executable, "-m", "tests.support.planted_bug", "open", "line.yaml", *line]
    variables = {**environment(home), "LOG_LEVEL": "shout"}
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == EXIT_BUG, done.stderr
    assert len(events(done.stderr, "bug")) == 1


class ExampleProcess:
    """The example service as a process; ``answers`` lets the failure it was started with happen."""

    def __init__(self, log: Path, *options: str) -> None:
        self.log = log
        command = [sys.executable, "-m", "tests.support.example_service", "run", *options]
        with log.open("wb") as output:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def answers(self) -> bool:
        (started,) = eventually(lambda: events(self.text(), "http_started"), 30, "the server listens")
        with urllib.request.urlopen(f"http://127.0.0.1:{started['port']}/", timeout=10) as answer:
            return bool(answer.read() == b"ok")

    def wait(self) -> int:
        try:
            return self.process.wait(30)
        finally:
            self.process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_service_with_an_http_server_in_order(number: int, tmp_path: Path) -> None:
    running = ExampleProcess(tmp_path / "log")
    assert running.answers()
    running.process.send_signal(number)
    assert running.wait() == EXIT_OK, running.text()
    (stopped,) = events(running.text(), "http_stopped")
    assert stopped["closed"] is True


@pytest.mark.parametrize(
    ("failure", "where", "status", "reason"),
    [
        ("configuration", "task", EXIT_USAGE, "invalid_configuration"),
        ("unavailable", "body", EXIT_UNAVAILABLE, "store_unavailable"),
        ("fatal", "task", EXIT_FATAL, "contract_broken"),
    ],
)
def test_an_error_of_ours_is_logged_with_its_reason_and_told_as_it_is(
    failure: str, where: str, status: int, reason: str, tmp_path: Path
) -> None:
    running = ExampleProcess(tmp_path / "log", "--fail", failure, "--where", where)
    assert running.answers()
    assert running.wait() == status, running.text()
    (ended,) = events(running.text(), "example_ended")
    assert (ended["reason"], ended["error"]) == (reason, HOSTILE)
    assert running.text().splitlines()[-1] == f"{reason}: {SHOWN}"
    assert not events(running.text(), "bug")


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        ("bug", f"ZeroDivisionError: {HOSTILE}"),
        ("poison", f"MalformedMessage: {HOSTILE}"),
        ("exit", "TaskReturned: the task follow returned"),
    ],
)
def test_a_bug_of_a_task_ends_the_whole_service(failure: str, error: str, tmp_path: Path) -> None:
    running = ExampleProcess(tmp_path / "log", "--fail", failure)
    assert running.answers()
    assert running.wait() == EXIT_BUG, running.text()
    (bug,) = events(running.text(), "bug")
    assert error in bug["exception"]
    assert "\x1b" not in running.text()


HOSTILE_COMMANDS: dict[str, Callable[[str], Sequence[str]]] = {
    "producers": lambda path: ["producers", "run", "--line", path],
    "trace": lambda path: ["steadyline", "trace", path],
    "dlq": lambda path: ["steadyline", "dlq", "replay", path],
}


@pytest.mark.parametrize("command", HOSTILE_COMMANDS)
def test_what_is_named_on_the_command_line_is_told_as_it_is(command: str, home: Path) -> None:
    text = "[/x/a] [bold]b \x1b[31mred"
    done = ends(home, *HOSTILE_COMMANDS[command](f"{home}/{text}"))
    assert done.returncode == EXIT_USAGE, done.stderr
    assert "\x1b" not in done.stderr
    assert text.replace("\x1b", "·") in done.stderr or text.replace("\x1b", "\\x1b") in done.stderr


def test_an_unknown_key_of_the_line_file_is_told_with_its_brackets(home: Path) -> None:
    (home / "line.yaml").write_text(LINE + "'[/x/a]': 1\n")
    done = ends(home, "producers", "run", "--line", str(home / "line.yaml"))
    assert done.returncode == EXIT_USAGE, done.stderr
    assert "[/x/a]" in done.stderr


def test_a_value_of_the_line_file_cannot_move_the_cursor(home: Path) -> None:
    (home / "line.yaml").write_text(LINE.replace("id: c1", 'id: "\\e[2J[/x/a]"'))
    done = ends(home, "producers", "run", "--line", str(home / "line.yaml"))
    assert done.returncode == EXIT_USAGE, done.stderr
    assert "\x1b" not in done.stderr
    assert re.search(r"line\.yaml:\d+: cameras", done.stderr)
