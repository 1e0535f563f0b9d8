"""A call of the client that never returns: it is noticed, said, and does not keep the process alive."""

import subprocess
import sys
from datetime import timedelta
from threading import Event

import pytest

from steadyline.errors import ContractBroken
from steadyline.kafka.guards.deadline import CallThread

HUNG_PROCESS = """
from datetime import timedelta
from steadyline.kafka.guards.deadline import CallThread
def spin():
    while True:
        pass
CallThread("frames", timedelta(milliseconds=50)).call(spin)
"""


def test_what_a_call_returns_and_raises_comes_back() -> None:
    calls = CallThread("frames")
    assert calls.call(lambda: 7) == 7
    with pytest.raises(TimeoutError, match="its own"):
        calls.call(_raise_timeout)
    assert not calls.is_hung
    calls.close()


def test_a_call_that_does_not_return_ends_the_service_and_no_later_one_is_tried() -> None:
    calls, never, tried = CallThread("frames", timedelta(milliseconds=20)), Event(), Event()
    with pytest.raises(ContractBroken, match="client of frames has not returned"):
        calls.call(never.wait)
    assert calls.is_hung
    with pytest.raises(ContractBroken, match="start the process again"):
        calls.call(tried.set)
    never.set()
    calls.close()
    assert not tried.is_set()


def test_a_process_whose_client_loops_for_ever_ends_with_its_error() -> None:
    ended = subprocess.run([sys.executable, "-c", HUNG_PROCESS], capture_output=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert b"ContractBroken" in ended.stderr


def _raise_timeout() -> None:
    raise TimeoutError("its own")
