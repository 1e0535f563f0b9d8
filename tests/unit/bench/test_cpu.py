"""CPU time and memory are those that the processes themselves know of."""

import os
import subprocess
import sys
import time

import pytest

from bench.line.cpu import cpu_seconds, machine_seconds, memory_bytes, process_seconds

HOLDS_MEMORY = """
import sys, time
held = b"x" * (64 << 20)
while time.process_time() < 0.3: pass
print(time.process_time(), flush=True)
sys.stdin.read()
"""


def test_the_seconds_of_this_process_are_those_that_it_counts_itself() -> None:
    assert process_seconds(os.getpid()) == pytest.approx(time.process_time(), abs=0.1)


def test_a_session_is_what_its_processes_used_and_hold_until_it_is_gone() -> None:
    before = machine_seconds()
    command = [sys.executable, "-c", HOLDS_MEMORY]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as child:
        assert child.stdout is not None
        used = float(child.stdout.readline())
        assert cpu_seconds(child.pid) == pytest.approx(used, abs=0.1)
        assert 64 << 20 < memory_bytes(child.pid) < 128 << 20
        assert machine_seconds() - before > 0.2
        child.kill()
        child.wait()
        assert (process_seconds(child.pid), cpu_seconds(child.pid), memory_bytes(child.pid)) == (0, 0, 0)
