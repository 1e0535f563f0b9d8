"""Other commands find the servers of a line that runs, and those alone."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from steadyline.cli.app import main
from steadyline.cli.servers import recorded, server_settings
from steadyline.servers import Addresses
from steadyline.servers.state import RunningStack, environment_file, write_state
from steadyline.service import EXIT_USAGE
from steadyline.settings import KafkaSettings


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL", "TRITON_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "var" / "stack.json"


@pytest.fixture
def somebody() -> Iterator[subprocess.Popen[bytes]]:
    """Another process that runs."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def running(port: int) -> RunningStack:
    return RunningStack(os.getpid(), "home", {}, Addresses(kafka_bootstrap=f"127.0.0.1:{port}"))


def kafka_of(record: Path) -> str:
    return server_settings(record)[0].bootstrap_servers


def test_the_servers_of_a_line_are_found_while_it_runs_and_by_its_owner_alone(record: Path) -> None:
    with recorded(record, running(4711)) as variables:
        assert variables == environment_file(record)
        assert variables.read_text() == "KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:4711\n"
        assert variables.stat().st_mode & 0o077 == 0
        assert kafka_of(record) == "127.0.0.1:4711"
    assert kafka_of(record) == KafkaSettings().bootstrap_servers
    assert list(record.parent.iterdir()) == []


def test_the_record_of_servers_that_run_already_is_left_alone(record: Path) -> None:
    with recorded(record, running(1)), recorded(record, running(2)) as variables:
        assert variables is None
        assert kafka_of(record) == "127.0.0.1:1"


def test_a_record_that_another_process_has_written_meanwhile_is_not_removed(
    record: Path, somebody: subprocess.Popen[bytes]
) -> None:
    with recorded(record, running(1)):
        write_state(record, RunningStack(somebody.pid, "home", {}, Addresses(kafka_bootstrap="127.0.0.1:2")))
    assert kafka_of(record) == "127.0.0.1:2"


@pytest.mark.parametrize("option", ["--stop", "--detach", "--fresh"])
def test_up_leaves_the_servers_of_a_line_alone(
    option: str, record: Path, somebody: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    write_state(record, RunningStack(somebody.pid, "servers", {}, Addresses(kafka_bootstrap="127.0.0.1:2")))
    assert main(["up", option, "--home", str(record.with_suffix(""))]) == EXIT_USAGE
    assert str(somebody.pid) in capsys.readouterr().err
    assert somebody.poll() is None
    assert kafka_of(record) == "127.0.0.1:2"


def test_a_shell_takes_the_variables_as_they_are(record: Path) -> None:
    strange = record.parent / "my line $(touch PWNED); & 'x'"
    addresses = Addresses(kafka_bootstrap="127.0.0.1:1", triton_repository=str(strange))
    with recorded(record, RunningStack(os.getpid(), "home", {}, addresses)) as variables:
        loaded = subprocess.run(
            ["sh", "-c", 'set -a; . "$0"; printf %s "$TRITON_REPOSITORY"', str(variables)],
            cwd=record.parent,
            capture_output=True,
            text=True,
            check=True,
        )
    assert loaded.stdout == str(strange)
    assert not (record.parent / "PWNED").exists()
