"""Whatever hangs when a process is told to end: it ends in time, and says what hung."""

import json
import subprocess
import sys
import threading
from datetime import timedelta

from steadyline.exit_guard import EXIT_HUNG, ExitGuard
from steadyline.service import EXIT_OK

SERVICE = """
import signal, sys, threading
from datetime import timedelta
from steadyline import service
from steadyline.clock import SystemClock
from steadyline.settings import TelemetrySettings

service.STOP_GRACE = timedelta(milliseconds=100)


def wait_for_the_store():
    threading.Event().wait()


def body(stop, health):
    with service.ServiceTasks(stop) as tasks:
        tasks.start("keeper", lambda ended: wait_for_the_store())
        if {how!r} == "signal":
            signal.raise_signal(signal.SIGTERM)
        elif {how!r} == "failure":
            raise ZeroDivisionError
        stop.wait()


settings = TelemetrySettings(steadyline_log_format="json")
service.run_service("test", settings, SystemClock(), body, timedelta(milliseconds=100))
"""


def run_hanging(how: str) -> tuple[int, list[dict[str, object]]]:
    """Return the exit status of a service in which a task hangs, and its log."""
    done = subprocess.run(
        [sys.executable, "-c", SERVICE.format(how=how)],
        check=False,
        timeout=60,
        capture_output=True,
        text=True,
    )
    return done.returncode, [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]


def test_a_service_in_which_a_task_hangs_ends_after_a_signal_and_names_it() -> None:
    status, log = run_hanging("signal")
    assert status == EXIT_HUNG
    (last,) = (row for row in log if row["event"] == "exit_forced")
    threads = last["threads"]
    assert isinstance(threads, dict)
    assert "wait_for_the_store" in threads["keeper"]
    assert "join" in threads["MainThread"]


def test_a_service_that_fails_while_a_task_hangs_ends_too() -> None:
    status, log = run_hanging("failure")
    assert status == EXIT_HUNG
    assert "exit_forced" in [row["event"] for row in log]


def test_a_block_that_is_left_in_time_leaves_no_thread_behind() -> None:
    stop, before = threading.Event(), set(threading.enumerate())
    with ExitGuard(stop, timedelta(0)):
        (guard,) = set(threading.enumerate()) - before
        assert not stop.is_set()
    guard.join(10)
    assert not guard.is_alive()


def test_a_block_that_takes_its_time_may_do_so_while_nobody_tells_it_to_end() -> None:
    script = (
        "import threading; from datetime import timedelta; from steadyline.exit_guard import ExitGuard\n"
        "with ExitGuard(threading.Event(), timedelta(0)):\n    threading.Event().wait(0.3)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == EXIT_OK
