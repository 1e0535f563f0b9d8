"""Processes are told apart, and a port belongs to the very process that opened it."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from steadyline.servers.procfs import listens, session_members, start_time, working_folder
from tests.support.eventually import eventually

OPENS_A_PORT = """
import socket, sys
server = socket.create_server((sys.argv[1], 0), family=int(sys.argv[2]))
print(server.getsockname()[1], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process of a session of its own, in a folder of its own."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True, cwd=tmp_path) as process:
        yield process
        process.kill()


def test_a_process_keeps_its_start_time_until_it_is_gone(sleeper: "subprocess.Popen[bytes]") -> None:
    started = start_time(sleeper.pid)
    assert started is not None
    assert start_time(sleeper.pid) == started
    sleeper.kill()
    eventually(lambda: start_time(sleeper.pid) is None)  # a zombie: nobody has collected it yet
    sleeper.wait()
    assert start_time(sleeper.pid) is None


def test_the_members_of_a_session_are_those_that_live(sleeper: "subprocess.Popen[bytes]") -> None:
    assert session_members(sleeper.pid) == [sleeper.pid]
    assert os.getpid() in session_members(os.getsid(0))
    sleeper.kill()
    eventually(lambda: session_members(sleeper.pid) == [])


def test_the_working_folder_of_one_that_is_gone_is_none(
    sleeper: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    assert working_folder(sleeper.pid) == tmp_path
    sleeper.kill()
    sleeper.wait()
    assert working_folder(sleeper.pid) is None


@pytest.mark.parametrize(("address", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_a_port_belongs_to_who_opened_it(
    address: str, family: socket.AddressFamily, sleeper: "subprocess.Popen[bytes]"
) -> None:
    if family is socket.AF_INET6 and not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    command = [sys.executable, "-c", OPENS_A_PORT, address, str(int(family))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as opener:
        assert opener.stdout is not None
        port = int(opener.stdout.readline())
        with socket.create_connection((address, port)) as connection:
            own_port = connection.getsockname()[1]
            assert listens(opener.pid, port)
            assert not listens(sleeper.pid, port)
            assert not listens(os.getpid(), port), "to be connected to it is not to have opened it"
            assert not listens(os.getpid(), own_port), "a connection does not listen"
        opener.kill()
        opener.wait()
        assert not listens(opener.pid, port)
