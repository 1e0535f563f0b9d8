"""The accounts of a camera are kept by one process at a time; the other one says why it does not start."""

from pathlib import Path

import pytest

from producers.app import ProducersDependencies, build
from producers.config import ProducersSettings
from steadyline.clock import SystemClock
from steadyline.errors import InvalidConfiguration
from steadyline.folder_lock import FolderLock
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.line import load_line
from steadyline.telemetry.health import ServiceHealth

LINE = """
line: test
products: {part: {}}
cameras: [{id: east, product: part, source: "synthetic:"}]
"""


def refusal(tmp_path: Path, state: Path) -> str:
    """Return why the producers of a line are not built on a folder of accounts."""
    (tmp_path / "line.yaml").write_text(LINE)
    line = load_line(tmp_path / "line.yaml")
    clock = SystemClock()
    dependencies = ProducersDependencies(line, tmp_path, ProducersSettings(state=state), clock)
    with (
        pytest.raises(InvalidConfiguration) as refused,
        build(dependencies, [], MemoryBroker(clock), ServiceHealth(clock)),
    ):
        pass
    return str(refused.value)


def test_a_camera_that_another_process_runs_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with FolderLock(state / "east"):
        said = refusal(tmp_path, state)
    assert said == f"camera east is run by another process that uses the same PRODUCERS_STATE ({state})"


def test_a_folder_that_cannot_be_made_is_named_with_the_reason(tmp_path: Path) -> None:
    state = tmp_path / "file"
    state.touch()
    said = refusal(tmp_path, state)
    assert said == f"PRODUCERS_STATE: {state / 'east'} cannot be used: Not a directory"
