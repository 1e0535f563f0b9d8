"""Other commands find the servers of a line that runs, and those alone."""

import os
from pathlib import Path

import pytest

from steadyline.cli.servers import recorded, server_settings
from steadyline.servers import Addresses
from steadyline.servers.state import RunningStack, environment_file
from steadyline.settings import KafkaSettings


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL", "TRITON_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "var" / "stack.json"


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
