"""The local servers on their good and bad days. Redis stands for all where the server does not matter."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from steadyline.servers import Addresses, LocalStack, ServerFailed, StackPaths
from steadyline.servers.orphan import end_orphan, write_record
from steadyline.servers.procfs import start_time
from tests.support.eventually import eventually
from tests.support.servers import ROOT, OwnStack, new_home, remove, require
from tests.support.wire import ask_redis

HOLDER = """
import pathlib, sys, threading
from steadyline.servers import LocalStack, StackPaths
home, root, which = sys.argv[1:4]
with LocalStack(StackPaths.of_checkout(pathlib.Path(home), pathlib.Path(root)), which.split(",")) as stack:
    print(*(server.pid for server in stack.servers.values()), flush=True)
    threading.Event().wait()
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A home of this test alone."""
    path = new_home()
    yield path
    remove(path)


def paths(home: Path) -> StackPaths:
    return StackPaths.of_checkout(home, ROOT)


@contextmanager
def stranger(home: Path, which: str) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """Another process that runs a stack in ``home``; yields it and its servers' process ids."""
    command = [sys.executable, "-c", HOLDER, str(home), str(ROOT), which]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process, [int(word) for word in process.stdout.readline().split()]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.servers
def test_two_stacks_side_by_side_never_touch_each_other(own_stack: OwnStack) -> None:
    first, second = own_stack(), own_stack()
    assert not set(first.addresses.environment().values()) & set(second.addresses.environment().values())
    ask_redis(first.addresses.redis_url, "SET", "mine", "1")
    assert ask_redis(second.addresses.redis_url, "GET", "mine") == b"$-1\r\n"
    first.stop()
    second.check()
    assert ask_redis(second.addresses.redis_url, "PING") == b"+PONG\r\n"


@pytest.mark.servers
def test_what_a_killed_run_left_is_ended_by_the_next_start(home: Path) -> None:
    require()
    with stranger(home, "kafka,redis,triton") as (parent, orphans):
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert len(orphans) == 3
        assert all(start_time(pid) for pid in orphans), "they outlive their parent"
        with LocalStack(paths(home)) as stack:
            assert not any(start_time(pid) for pid in orphans)
            assert not {server.pid for server in stack.servers.values()} & set(orphans)


@pytest.mark.servers
def test_a_home_that_another_process_uses_is_left_alone(home: Path) -> None:
    require(["redis"])
    with stranger(home, "redis") as (parent, [server]):
        with pytest.raises(ServerFailed, match=f"in use by process {parent.pid}"):
            LocalStack(paths(home), ["redis"]).start()
        assert start_time(server)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        with LocalStack(paths(home), ["redis"]):
            assert not start_time(server)


def test_a_recycled_process_id_is_not_touched(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True, cwd=tmp_path) as sleeper:
        record = tmp_path / "redis.pid"
        write_record(record, sleeper.pid)
        text = record.read_text(encoding="utf-8")
        record.write_text(text.replace(str(start_time(sleeper.pid)), "1"), encoding="utf-8")
        assert not end_orphan(record)
        assert sleeper.poll() is None
        record.write_text(text, encoding="utf-8")
        assert end_orphan(record)
        assert sleeper.wait(5) == -signal.SIGTERM


@pytest.mark.servers
def test_a_crash_at_start_shows_the_end_of_that_servers_log_and_stops_the_others(home: Path) -> None:
    require(["kafka", "redis"])
    with LocalStack(paths(home), ["kafka"]):
        pass
    metadata = home / "kafka" / "data" / "meta.properties"
    metadata.write_text(metadata.read_text().replace("node.id=1", "node.id=7"))
    stack = LocalStack(paths(home), ["kafka", "redis"])
    with pytest.raises(ServerFailed, match=r"(?s)kafka ended with 1; the end of .*kafka.log.*node.id"):
        stack.start()
    assert not stack.redis.is_alive


@pytest.mark.servers
def test_a_start_that_is_called_off_leaves_nothing_behind(home: Path) -> None:
    require(["kafka", "redis"])
    stack = LocalStack(paths(home), ["kafka", "redis"])
    with ThreadPoolExecutor(1) as pool:
        stop = threading.Event()
        starting = pool.submit(stack.start, stop)
        eventually(lambda: "kafka" in stack.servers and stack.servers["kafka"].is_alive, within=60)
        stop.set()
        with pytest.raises(ServerFailed, match="called off"):
            starting.result(30)
    assert not any(server.is_alive for server in stack.servers.values())


@pytest.mark.servers
def test_a_port_that_was_taken_meanwhile_is_replaced(home: Path) -> None:
    require(["redis"])
    with LocalStack(paths(home), ["redis"]) as stack:
        port = int(stack.addresses.redis_url.rsplit(":", 1)[1].split("/")[0])
    with socket.create_server(("127.0.0.1", port)), LocalStack(paths(home), ["redis"]) as again:
        assert str(port) not in again.addresses.redis_url
        assert ask_redis(again.addresses.redis_url, "PING") == b"+PONG\r\n"


@pytest.mark.servers
def test_a_server_that_exists_is_used_and_neither_started_nor_stopped(home: Path, redis: str) -> None:
    existing = Addresses(redis_url=redis)
    with LocalStack(paths(home), ["redis"], existing) as stack:
        assert stack.addresses.redis_url == redis
        assert stack.servers == {}
    assert ask_redis(redis, "PING") == b"+PONG\r\n"


@pytest.mark.servers
def test_redis_refuses_writes_rather_than_forget_a_bank(redis: str) -> None:
    assert b"noeviction" in ask_redis(redis, "CONFIG", "GET", "maxmemory-policy")
    assert b"536870912" in ask_redis(redis, "CONFIG", "GET", "maxmemory")


@pytest.mark.servers
def test_killed_and_suspended_servers_come_back_on_their_ports(own_stack: OwnStack) -> None:
    stack = own_stack("kafka", "redis")
    before = stack.addresses
    for server in (stack.kafka, stack.redis):
        old = server.pid
        server.kill9()
        assert start_time(old) is None
        server.start()
        server.suspend()
        eventually(partial(_is_suspended, server.pid), within=5)
        server.resume()
        assert not _is_suspended(server.pid)
    stack.redis.suspend()
    stack.redis.restart()  # a suspended server is ended, too
    assert stack.addresses == before
    assert ask_redis(before.redis_url, "PING") == b"+PONG\r\n"


@pytest.mark.servers
def test_a_server_that_died_by_itself_is_named_with_its_log(own_stack: OwnStack) -> None:
    stack = own_stack("redis")
    os.kill(stack.redis.pid, signal.SIGKILL)
    eventually(lambda: not stack.redis.is_alive, within=5)
    with pytest.raises(ServerFailed, match=r"(?s)redis ended by signal 9.*Ready to accept connections"):
        stack.check()
    stack.redis.restart()
    stack.check()


def _is_suspended(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
