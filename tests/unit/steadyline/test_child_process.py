"""A child process is ended in time, ends with its parent, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from steadyline.child_process import ChildCommand, ChildProcess
from steadyline.servers.procfs import start_time
from tests.support.eventually import eventually

Shell = Callable[..., tuple[ChildProcess, list[str]]]

PARENT = """
import sys, threading
from steadyline.child_process import ChildCommand, ChildProcess
child = ChildProcess(ChildCommand(
    [sys.executable, "-c", sys.argv[1]], on_line=lambda line: print(line, end="", flush=True),
    ends_with_parent=True,
))
threading.Event().wait()
"""
CHILD = """
import os, threading
from steadyline.child_process import exit_with_parent
exit_with_parent()
print(os.getpid(), flush=True)
threading.Event().wait()
"""


@pytest.fixture
def shell() -> Iterator[Shell]:
    """Starts a script of the shell; gives it and the list that its lines come to."""
    started: list[ChildProcess] = []

    def start(script: str, own_session: bool = True) -> tuple[ChildProcess, list[str]]:
        lines: list[str] = []
        command = ChildCommand(["sh", "-c", script], on_line=lines.append, own_session=own_session)
        started.append(ChildProcess(command))
        return started[-1], lines

    yield start
    for child in started:
        child.kill()


def logged(tmp_path: Path, script: str) -> ChildProcess:
    """Run a script to its end, its output in a log."""
    child = ChildProcess(ChildCommand(["sh", "-c", script], log=tmp_path / "logs" / "child.log"))
    child.wait(10)
    return child


def test_a_child_that_minds_sigterm_ends_with_its_own_status(shell: Shell) -> None:
    child, lines = shell("trap 'echo bye; exit 7' TERM; sleep 60 & echo ready; wait")
    eventually(lambda: lines)
    assert child.poll() is None
    assert child.stop(10) == 7
    assert lines == ["ready\n", "bye\n"]


def test_a_child_that_ignores_sigterm_is_killed_at_the_deadline(shell: Shell) -> None:
    child, lines = shell("trap '' TERM; echo ready; exec sleep 60")
    eventually(lambda: lines)
    began = time.monotonic()
    assert child.stop(0.3) == -signal.SIGKILL
    assert 0.3 <= time.monotonic() - began < 5
    assert start_time(child.pid) is None


def test_a_suspended_child_is_woken_to_end(shell: Shell) -> None:
    child, lines = shell("trap 'exit 7' TERM; sleep 60 & echo ready; wait")
    eventually(lambda: lines)
    child.send_signal(signal.SIGSTOP)
    assert child.stop(10) == 7


def test_a_child_that_ended_by_itself_keeps_its_status_and_gets_no_more_signals(shell: Shell) -> None:
    child, _ = shell("exit 3")
    assert child.wait(10) == 3
    child.send_signal(signal.SIGTERM)
    assert (child.poll(), child.stop(10), child.kill()) == (3, 3, 3)


def test_waiting_for_a_child_that_runs_on_ends_with_none(shell: Shell) -> None:
    child, _ = shell("exec sleep 60")
    assert child.wait(0.1) is None


def test_what_a_child_leaves_in_its_group_is_killed_when_it_ends(shell: Shell) -> None:
    child, lines = shell("sleep 60 & echo $!; exit 3")
    eventually(lambda: lines)
    assert child.wait(10) == 3
    eventually(lambda: start_time(int(lines[0])) is None)


def test_a_signal_reaches_the_whole_group(shell: Shell) -> None:
    child, lines = shell("sleep 60 & other=$!; trap '' TERM; echo $other; exec sleep 60")
    other = int(eventually(lambda: lines)[0])
    child.send_signal(signal.SIGTERM)
    eventually(lambda: start_time(other) is None)
    assert child.poll() is None  # the child itself ignores it


def test_without_a_session_of_its_own_it_stays_in_that_of_the_terminal(shell: Shell) -> None:
    ours, _ = shell("exec sleep 60", own_session=False)
    own, _ = shell("exec sleep 60")
    assert os.getpgid(ours.pid) == os.getpgid(0)
    assert os.getsid(own.pid) == os.getpgid(own.pid) == own.pid
    assert ours.stop(10) == -signal.SIGTERM


def test_a_child_ends_with_a_parent_that_is_killed() -> None:
    command = [sys.executable, "-c", PARENT, CHILD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert start_time(pid) is not None
        parent.kill()
        parent.wait()
        eventually(lambda: start_time(pid) is None)


def test_a_child_that_closes_its_output_runs_on_and_can_be_stopped(shell: Shell) -> None:
    child, lines = shell("echo last; exec >&- 2>&-; exec sleep 60")
    eventually(lambda: lines)
    assert child.wait(0.2) is None
    began = time.monotonic()
    assert child.stop(10) == -signal.SIGTERM
    assert time.monotonic() - began < 5
    assert lines == ["last\n"]


def test_every_line_has_come_when_it_was_stopped(shell: Shell) -> None:
    child, lines = shell(r"printf 'caf\351\n'; seq 10000; printf 'no end of line'")
    assert child.wait(30) == 0
    child.stop(1)
    assert lines[0] == "caf\N{REPLACEMENT CHARACTER}\n"
    assert lines[1:-1] == [f"{number}\n" for number in range(1, 10001)]
    assert lines[-1] == "no end of line"


def test_stopping_waits_for_whoever_is_slow_to_take_the_lines() -> None:
    go_on, lines = threading.Event(), list[str]()

    def take(line: str) -> None:
        go_on.wait(10)
        lines.append(line)

    child = ChildProcess(ChildCommand(["sh", "-c", "echo one; echo two"], on_line=take))
    assert child.wait(10) == 0
    threading.Timer(0.3, go_on.set).start()
    child.stop(10)
    assert lines == ["one\n", "two\n"]


def test_the_tail_of_its_log_is_the_last_lines_of_both_outputs(tmp_path: Path) -> None:
    child = logged(tmp_path, r"seq 100000; printf 'caf\351\n' >&2; echo end")
    last = [*(str(number) for number in range(99973, 100001)), "caf\N{REPLACEMENT CHARACTER}", "end"]
    assert child.tail() == "\n".join(last)


def test_a_second_child_writes_behind_the_first_one_in_the_log(tmp_path: Path) -> None:
    logged(tmp_path, "echo one")
    assert logged(tmp_path, "echo two").tail() == "one\ntwo"


def test_a_child_without_a_log_says_so(shell: Shell) -> None:
    assert shell("exit 0")[0].tail() == "(no log)"


def test_it_runs_in_its_folder_and_with_its_environment_alone(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = ChildCommand(
        ["/bin/sh", "-c", "pwd; env; cat"], log, environment={"WORD": "x"}, folder=tmp_path
    )
    child = ChildProcess(command)
    assert child.wait(10) == 0  # cat ends: its standard input is empty
    rows = child.tail().splitlines()
    assert rows[0] == str(tmp_path)
    assert "WORD=x" in rows
    assert not any(row.startswith("HOME=") for row in rows)


def test_a_program_that_is_not_there_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ChildProcess(ChildCommand([str(tmp_path / "nothing")], log=tmp_path / "log"))


def test_threads_that_ask_and_signal_while_it_ends_see_one_status(shell: Shell) -> None:
    def ask(child: ChildProcess) -> int | None:
        while child.poll() is None:
            child.send_signal(signal.SIGCONT)
        return child.poll()

    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            child, _ = shell("sleep 0.05; exit 5")
            assert set(pool.map(ask, [child] * 4)) == {5}


IGNORES_ITS_CHILDREN = """
import signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # as some supervisors leave it to what they start
from steadyline.child_process import ChildCommand, ChildProcess
ended, running = (ChildProcess(ChildCommand(["sh", "-c", script])) for script in ("exit 3", "sleep 60"))
print(ended.wait(10), ended.stop(10), running.poll(), running.stop(10))
"""


def test_the_end_of_a_child_is_seen_where_the_kernel_keeps_no_exit_status() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IGNORES_ITS_CHILDREN], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr) == ("0 0 None 0\n", "")
