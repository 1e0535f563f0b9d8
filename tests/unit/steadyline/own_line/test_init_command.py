"""``steadyline init`` as a person calls it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from steadyline.cli.app import main
from steadyline.line import load_line
from steadyline.service import EXIT_OK, EXIT_USAGE


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with twenty pictures of good parts in good/."""
    (tmp_path / "good").mkdir()
    for index in range(20):
        Image.fromarray(np.full((16, 16), index, np.uint8)).save(tmp_path / "good" / f"{index:03}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_camera_and_a_folder_give_a_line_that_every_service_reads(
    plant: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "--camera", "belt=synthetic:", "--normals", "good"]) == EXIT_OK
    line = load_line(plant / "line.yaml")
    assert [camera.id for camera in line.cameras] == ["belt"]
    said = capsys.readouterr().out
    assert "cameras: belt" in said
    assert "20 pictures" in said
    assert "next: steadyline run" in said


def test_a_line_file_that_is_there_is_replaced_only_by_force(plant: Path) -> None:
    (plant / "line.yaml").write_text("mine")
    words = ["init", "--camera", "synthetic:", "--normals", "good"]
    assert main(words) == EXIT_USAGE
    assert (plant / "line.yaml").read_text() == "mine"
    assert main([*words, "--force"]) == EXIT_OK
    assert load_line(plant / "line.yaml").cameras


def test_a_name_that_no_line_may_have_leaves_no_file(plant: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["init", "--camera", "synthetic:", "--normals", "good", "--line-name", "Plant 7"]
    assert main(words) == EXIT_USAGE
    assert "a name has" in capsys.readouterr().err
    assert [path.name for path in plant.iterdir()] == ["good"]


def test_without_a_terminal_it_says_what_to_add(plant: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--normals", "good"]) == EXIT_USAGE
    assert "--camera usb:0" in capsys.readouterr().err
    assert main(["init", "--camera", "synthetic:"]) == EXIT_USAGE
    assert "--normals good/" in capsys.readouterr().err


def test_a_line_without_cameras_or_normals_is_not_run(
    plant: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (plant / "line.yaml").write_text("line: a\nproducts: {part: {normals: good}}\n")
    assert main(["run"]) == EXIT_USAGE
    assert "steadyline init" in capsys.readouterr().err
    (plant / "line.yaml").write_text(
        "line: a\nproducts: {part: {}}\ncameras: [{id: a, product: part, source: 'synthetic:'}]\n"
    )
    assert main(["run"]) == EXIT_USAGE
    assert "normals" in capsys.readouterr().err


def test_a_line_far_from_any_servers_is_told_where_they_come_from(
    plant: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL", "TRITON_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STEADYLINE_HOME", str(plant))
    assert main(["init", "--camera", "synthetic:", "--normals", "good"]) == EXIT_OK
    assert main(["run"]) == EXIT_USAGE
    said = capsys.readouterr().err
    assert all(word in said for word in ("make init", "STEADYLINE_HOME", "KAFKA_BOOTSTRAP_SERVERS"))
