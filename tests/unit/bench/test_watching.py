"""What the benchmark says of a scorer's time is true of a process whose time is known."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bench.line.meter import OTHER, Meter
from bench.line.sampler import Sampler


def work(seconds: float) -> None:
    """Use this much CPU of this thread."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(100))


def outer(inner: Callable[[float], object]) -> None:
    work(0.02)
    inner(0.04)


@contextmanager
def running(name: str, task: Callable[[], object]) -> Iterator[None]:
    """Run ``task`` on a thread of this name that lives on until the end of the block."""
    done, go_on = threading.Event(), threading.Event()

    def run() -> None:
        task()
        done.set()
        go_on.wait(10)

    thread = threading.Thread(target=run, name=name)
    thread.start()
    assert done.wait(10)
    yield
    go_on.set()
    thread.join()


def test_a_stage_inside_a_stage_counts_for_the_inner_one_alone() -> None:
    meter = Meter()
    inner = meter.staged("inner", work)
    both = meter.staged("outer", outer)
    meter.reset()
    both(inner)
    found = meter.account()
    assert found["inner"] == pytest.approx(0.04, abs=0.01)
    assert found["outer"] == pytest.approx(0.02, abs=0.01)


def test_what_is_no_stage_counts_for_the_role_of_its_thread_and_all_sums_to_the_process() -> None:
    meter = Meter()
    meter.reset()
    began = time.process_time()
    with running("decode_0", lambda: work(0.05)):
        found = meter.account()
    total = time.process_time() - began
    assert found["queues and metrics of decoding"] == pytest.approx(0.05, abs=0.01)
    assert sum(found.values()) == pytest.approx(total, abs=0.01)


def test_a_thread_that_has_ended_counts_among_the_short_lived() -> None:
    meter = Meter()
    meter.reset()
    with running("decode_0", lambda: work(0.05)):
        pass
    assert meter.account()[OTHER] >= 0.04


def test_the_sampler_finds_who_uses_the_cpu() -> None:
    sampler = Sampler()
    sampler.install()
    work(0.05)
    sampler.reset()
    work(0.3)
    found = sampler.account()
    sampler.close()
    mine = [seconds for place, seconds in found["with_callees"].items() if place.endswith(" work")]
    assert mine == [pytest.approx(0.3, abs=0.1)]
