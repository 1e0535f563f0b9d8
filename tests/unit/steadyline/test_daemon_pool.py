"""A pool that can be left behind: what hangs in it keeps neither its other threads nor the process."""

import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError

import pytest

from steadyline.daemon_pool import DaemonPool

SOON = 10.0


def test_calls_give_their_results_and_their_errors() -> None:
    pool = DaemonPool(2, "test")
    assert list(pool.map(lambda number: number * 2, range(50))) == [number * 2 for number in range(50)]
    with pytest.raises(ZeroDivisionError):
        pool.submit(lambda: 1 / 0).result(SOON)
    with pytest.raises(SystemExit):
        pool.submit(sys.exit, 1).result(SOON)
    pool.shutdown()


def test_one_thread_keeps_the_order() -> None:
    pool, seen = DaemonPool(1, "test"), list[int]()
    for number in range(200):
        pool.submit(seen.append, number)
    pool.shutdown()
    assert seen == list(range(200))


def test_as_many_calls_run_at_once_as_there_may_be_threads_and_no_more() -> None:
    pool, released = DaemonPool(3, "test"), threading.Event()
    begun = threading.Barrier(4)

    def hang() -> None:
        begun.wait(SOON)
        released.wait(SOON)

    for _ in range(3):
        pool.submit(hang)
    begun.wait(SOON)
    waiting = pool.submit(lambda: "done")
    assert not waiting.running()
    released.set()
    assert waiting.result(SOON) == "done"
    pool.shutdown()


def test_a_call_that_was_cancelled_never_runs() -> None:
    pool, released, ran = DaemonPool(1, "test"), threading.Event(), list[int]()
    pool.submit(released.wait, SOON)
    cancelled = pool.submit(ran.append, 1)
    assert cancelled.cancel()
    released.set()
    pool.submit(lambda: None).result(SOON)
    with pytest.raises(CancelledError):
        cancelled.result(0)
    assert ran == []
    pool.shutdown()


def test_closing_drops_what_is_queued_and_says_whether_a_call_hangs() -> None:
    pool, released, ran = DaemonPool(1, "test"), threading.Event(), list[int]()
    pool.submit(released.wait, SOON)
    pool.submit(ran.append, 1)
    assert not pool.close(0.05)
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(ran.append, 2)
    released.set()
    assert pool.close(SOON)
    assert ran == []


def test_closing_takes_no_longer_for_many_calls_that_hang() -> None:
    pool, released = DaemonPool(40, "test"), threading.Event()
    for _ in range(40):
        pool.submit(released.wait, SOON)
    began = time.monotonic()
    assert not pool.close(0.1)
    assert time.monotonic() - began < 2
    released.set()


def test_a_call_that_hangs_for_ever_does_not_keep_the_process() -> None:
    script = [
        "import threading",
        "from steadyline.daemon_pool import DaemonPool",
        "begun = threading.Event()",
        "pool = DaemonPool(1, 'hangs')",
        "pool.submit(lambda: (begun.set(), threading.Event().wait()))",
        "begun.wait()",
        "assert not pool.close(0.01)",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(script)], check=False, timeout=30)
    assert done.returncode == 0
