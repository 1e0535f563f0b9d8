"""What is written of a new line, and what is refused."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from steadyline.contracts.frame import NAME
from steadyline.errors import InvalidConfiguration
from steadyline.line import load_line
from steadyline.own_line.new_line import NewLine, default_name, enough_good_parts, line_yaml, new_cameras


def pictures(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        Image.fromarray(np.full((16, 16), index, np.uint8)).save(folder / f"{index:03}.png")
    return folder


def test_a_written_line_is_read_back_as_it_was_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "belt 1").mkdir()
    good = pictures(tmp_path / 'good "parts"', 20)
    texts = ["usb:0", "west=folder:belt 1?fps=2", "rtsp://camera.example/live?x=1"]
    new = NewLine(
        "plant-7",
        "cell",
        new_cameras(texts, tmp_path),
        enough_good_parts(good).folder,
        "{channels: rgb}",
        "cobra",
    )
    (tmp_path / "line.yaml").write_text(line_yaml(new, tmp_path))

    line = load_line(tmp_path / "line.yaml")

    assert [(camera.id, camera.source) for camera in line.cameras] == [
        ("cam-1", "usb:/dev/video0"),
        ("west", "folder:belt 1?fps=2"),
        ("cam-3", "rtsp://camera.example/live?x=1"),
    ]
    product = line.products["cell"]
    assert (product.normals, product.detector, product.picture.channels) == (str(good), "cobra", "rgb")
    assert line.kafka_topics().frames.name.startswith("plant-7.")


@pytest.mark.parametrize("name", ["2026", "7", "1e3", "on", "null", "2026-11-30", "part"])
def test_a_name_that_yaml_takes_for_something_else_stays_a_name(name: str, tmp_path: Path) -> None:
    good = pictures(tmp_path / name, 20)
    cameras = new_cameras([f"{name}=synthetic:"], tmp_path)
    written = line_yaml(NewLine(name, name, cameras, good, "{channels: gray}", "either"), tmp_path)
    (tmp_path / "line.yaml").write_text(written)

    line = load_line(tmp_path / "line.yaml")

    assert (line.line, line.cameras[0].id, line.cameras[0].product) == (name, name, name)
    assert line.products[name].normals == str(good)


@pytest.mark.parametrize("name", [b"caf\xe9", b"two\nlines"])
def test_a_folder_that_no_line_file_can_name_is_refused(name: bytes, tmp_path: Path) -> None:
    good = pictures(tmp_path / os.fsdecode(name), 20)
    new = NewLine("a", "part", new_cameras(["synthetic:"], tmp_path), good, "{channels: gray}", "either")
    with pytest.raises(InvalidConfiguration, match="another name"):
        line_yaml(new, tmp_path)


def test_what_lies_elsewhere_is_named_as_the_line_file_reaches_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stream").mkdir()
    (tmp_path / "plant").mkdir()
    monkeypatch.chdir(tmp_path)
    (camera,) = new_cameras(["folder:stream"], tmp_path / "plant")
    assert camera.source == f"folder:{tmp_path / 'stream'}"


@pytest.mark.parametrize("text", ["camera", "ftp:x", "west=", "folder:missing", "video:", "A=folder:missing"])
def test_what_is_no_source_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration):
        new_cameras([text], tmp_path)


def test_a_camera_whose_pictures_all_lie_deeper_is_told_how_to_see_them(tmp_path: Path) -> None:
    pictures(tmp_path / "test" / "good", 1)
    with pytest.raises(InvalidConfiguration, match="recursive=true"):
        new_cameras([f"folder:{tmp_path / 'test'}?fps=2"], tmp_path)
    (camera,) = new_cameras([f"folder:{tmp_path / 'test'}?recursive=true"], tmp_path)
    assert camera.source == "folder:test?recursive=true"
    (tmp_path / "test" / "readme.txt").write_text("no picture")
    with pytest.raises(InvalidConfiguration, match="recursive=true"):
        new_cameras([f"folder:{tmp_path / 'test'}?fps=2"], tmp_path)


def test_a_file_is_no_folder_of_a_camera(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").touch()
    with pytest.raises(InvalidConfiguration, match="cannot be listed"):
        new_cameras([f"folder:{tmp_path / 'film.mp4'}"], tmp_path)


def test_a_refusal_repeats_nothing_of_an_address(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        new_cameras(["http://user:secret@camera/live"], tmp_path)
    assert "secret" not in str(refused.value)


def test_a_name_is_given_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="twice"):
        new_cameras(["a=synthetic:", "a=synthetic:"], tmp_path)


def test_the_good_parts_of_a_data_set_are_found_within_it(tmp_path: Path) -> None:
    pictures(tmp_path / "set" / "train" / "good", 25)
    assert enough_good_parts(tmp_path / "set").folder == tmp_path / "set" / "train" / "good"


def test_too_few_good_parts_are_refused_with_their_number(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="has 3 pictures"):
        enough_good_parts(pictures(tmp_path / "good", 3))
    with pytest.raises(InvalidConfiguration, match="no folder"):
        enough_good_parts(tmp_path / "nowhere")


@given(st.text(max_size=80).filter(lambda text: "/" not in text and "\0" not in text))
def test_any_folder_gives_a_name_that_a_line_may_have(name: str) -> None:
    assert NAME.fullmatch(default_name(Path("/plants") / (name or "x")))
