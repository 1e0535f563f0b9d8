"""One request to end may come twice at once; whoever asks again later does not want to wait."""

import subprocess
import sys

import pytest

from steadyline.servers.procfs import start_time
from steadyline.stop_signals import AT_ONCE_SECONDS
from tests.support.eventually import eventually

AT_ONCE = "    signal.raise_signal(signal.SIGTERM)"
CTRL_C = "    signal.raise_signal(signal.SIGINT)"
LATER = f"    threading.Event().wait({AT_ONCE_SECONDS + 0.2}); {AT_ONCE.strip()}"
HEAD = ["import signal, threading", "from steadyline.stop_signals import exit_on_term, stop_on_signals"]
TOLD = 128 + 15


def status_of(script: list[str]) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, "-c", "\n".join([*HEAD, *script])]
    return subprocess.run(words, check=False, timeout=60, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("signals", "status"),
    [
        ([AT_ONCE], 0),
        ([AT_ONCE, AT_ONCE], 0),
        ([AT_ONCE, LATER], TOLD),
        ([CTRL_C, LATER], 0),  # the parent passes on, one child after another, what Ctrl-C has told to all
        ([CTRL_C, LATER, LATER], TOLD),
    ],
)
def test_a_signal_after_a_failed_task_still_leaves_the_service_time_to_end(
    signals: list[str], status: int
) -> None:
    done = status_of(
        ["with stop_on_signals() as stop:", "    stop.set()  # as a task does that fails", *signals]
    )
    assert done.returncode == status


def test_a_block_that_is_told_to_end_closes_what_it_has_opened() -> None:
    script = ["try:", " with exit_on_term():", AT_ONCE, "finally:", " print('closed')"]
    done = status_of(script)
    assert (done.returncode, done.stdout) == (TOLD, "closed\n")


@pytest.mark.parametrize(("more", "closed"), [(AT_ONCE.strip(), "closed\n"), (LATER.strip(), "")])
def test_only_a_later_signal_breaks_off_the_closing(more: str, closed: str) -> None:
    script = ["with exit_on_term():", " try:", f" {AT_ONCE}", " finally:", f"  {more}", "  print('closed')"]
    done = status_of(script)
    assert (done.returncode, done.stdout) == (TOLD, closed)


def test_whoever_asks_twice_leaves_no_server_behind() -> None:
    script = [
        "import subprocess",
        "from steadyline.servers.procfs import kill_descendants",
        "with stop_on_signals(kill_descendants):",
        "    server = subprocess.Popen(['sleep', '60'], start_new_session=True)",
        "    print(server.pid, flush=True)",
        AT_ONCE,
        LATER,
    ]
    done = status_of(script)
    assert done.returncode == TOLD
    eventually(lambda: start_time(int(done.stdout)) is None)
