"""``steadyline up`` as its user runs it. Kafka and Triton "exist", so that Redis alone is started: fast."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from steadyline.servers.procfs import start_time
from tests.support.eventually import eventually
from tests.support.servers import ROOT, new_home, remove, require
from tests.support.wire import ask_redis

pytestmark = pytest.mark.servers
UP = [sys.executable, "-P", "-m", "steadyline", "up"]
EXISTING = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "TRITON_URL": "127.0.0.1:1"}


class Up:
    """The verb, run against one home."""

    def __init__(self, home: Path) -> None:
        self.home, self.state = home, home.with_suffix(".json")
        self._environment = {**os.environ, **EXISTING, "STEADYLINE_HOME": str(ROOT)}
        self._environment.pop("REDIS_URL", None)

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Run the verb to its end."""
        command = [*UP, "--home", str(self.home), *options]
        return subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=60, check=False
        )

    def start(self) -> subprocess.Popen[str]:
        """Run the verb in the foreground; returns once it has written its record."""
        command = [*UP, "--home", str(self.home)]
        process = subprocess.Popen(
            command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        eventually(self.state.exists, within=60)
        return process

    def redis(self) -> tuple[str, int]:
        """Return the address and the process id of the Redis that runs."""
        known = json.loads(self.state.read_text())
        return known["addresses"]["redis_url"], json.loads((self.home / "redis.pid").read_text())["pid"]


@pytest.fixture
def up() -> Iterator[Up]:
    require(["redis"])
    verb = Up(new_home())
    yield verb
    verb.run("--stop")
    remove(verb.home)
    for suffix in (".json", ".env", ".log"):
        verb.home.with_suffix(suffix).unlink(missing_ok=True)


def test_ctrl_c_stops_the_servers_and_forgets_them(up: Up) -> None:
    with up.start() as process:
        url, pid = up.redis()
        assert ask_redis(url, "PING") == b"+PONG\r\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert start_time(pid) is None
    assert not up.state.exists()


def test_a_server_that_dies_ends_it_with_the_end_of_its_log(up: Up) -> None:
    with up.start() as process:
        os.kill(up.redis()[1], signal.SIGKILL)
        output, _ = process.communicate(timeout=30)
        assert process.returncode == 4
    assert "redis ended by signal 9" in output
    assert "Ready to accept connections" in output


def test_in_the_background_it_is_started_once_and_stopped_by_its_process_id(up: Up) -> None:
    first = up.run("--detach", "--json")
    assert first.returncode == 0, first.stderr
    again = up.run("--detach", "--json")
    assert json.loads(again.stdout) == json.loads(first.stdout)
    assert "runs already" in again.stderr
    _, pid = up.redis()
    assert up.run("--stop").returncode == 0
    assert start_time(pid) is None
    assert "nothing runs" in up.run("--stop").stdout


def test_what_a_run_has_left_is_there_again_unless_a_fresh_one_is_asked_for(up: Up) -> None:
    left = up.home / "kafka" / "left"
    assert up.run("--detach").returncode == 0
    left.parent.mkdir(exist_ok=True)
    left.write_text("a topic", encoding="utf-8")
    assert up.run("--stop").returncode == 0
    assert up.run("--detach").returncode == 0
    assert left.read_text(encoding="utf-8") == "a topic"
    assert up.run("--stop").returncode == 0
    assert up.run("--detach", "--fresh").returncode == 0
    assert not left.exists()


def test_down_ends_what_a_killed_one_has_left(up: Up) -> None:
    with up.start() as process:
        _, pid = up.redis()
        process.kill()
        process.wait()
    assert start_time(pid)
    assert "ended what a killed run had left: redis" in up.run("--stop").stdout
    assert start_time(pid) is None


def test_the_variables_for_a_shell_are_for_its_owner_alone(up: Up) -> None:
    up.run("--detach")
    variables = up.home.with_suffix(".env")
    assert variables.stat().st_mode & 0o077 == 0
    assert up.state.stat().st_mode & 0o077 == 0
    said = subprocess.run(
        ["bash", "-c", f"set -a; . {variables}; echo $REDIS_URL"], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == up.redis()[0]


def test_a_folder_without_servers_is_refused_with_what_to_do(up: Up, tmp_path: Path) -> None:
    environment = {**os.environ, "STEADYLINE_HOME": str(tmp_path)}
    done = subprocess.run(UP, env=environment, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert "run `make init`" in done.stderr
