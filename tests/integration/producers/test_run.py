"""Real producers on a real broker: every captured frame is published or a counted drop."""

import struct
import zlib
from itertools import pairwise
from pathlib import Path

import pytest

from producers.sources.address import SyntheticOptions
from producers.sources.synthetic import render
from steadyline.contracts.frame import Frame
from steadyline.picture import PictureLimits, decode, encode_jpeg, encode_png, inspect
from tests.support.producers_line import ProducersLine

pytestmark = pytest.mark.servers

OPTIONS = SyntheticOptions(size=64, seed=1)


def a_bomb() -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def fill_with_good_and_hostile(folder: Path) -> dict[str, bytes]:
    """Write files in an order their names give; returns name -> content."""
    good = [encode_png(render(OPTIONS, 1)), encode_jpeg(render(OPTIONS, 2))]
    files = {
        "a.png": good[0],
        "b-empty.jpg": b"",
        "c-bomb.png": a_bomb(),
        "d-truncated.jpg": good[1][: len(good[1]) // 2],
        "e-text.jpg": b"not a picture at all",
        "f-large.jpg": b"\xff\xd8\xff" + b"\0" * 300_000,
        "g.jpg": good[1],
    }
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return files


def test_cameras_run_to_their_end_and_every_account_closes(plant: ProducersLine) -> None:
    files = fill_with_good_and_hostile(plant.home / "hostile")
    plant.describe(
        """
        id: c1, product: part, source: "synthetic:?fps=100&limit=60&size=64&seed=5"
        id: c2, product: part, source: "folder:./hostile?fps=50", when_behind: block
        id: c3, product: part, source: "folder:./hostile?fps=50&check=false", when_behind: block
        """,
        "{picture: {max_bytes: 200000, max_pixels: 100000}}",
    )
    plant.create_topics()
    assert plant.start().wait() == 0
    (first,), (second,) = plant.assert_accounts_closed("c1"), plant.assert_accounts_closed("c2")
    assert (first.captured, first.published, first.reason) == (60, 60, "limit")
    assert (second.captured, second.published, second.reason) == (7, 2, "end_of_source")
    assert second.dropped_sequences == [
        (2, 2, "empty_picture"),
        (3, 3, "picture_too_many_pixels"),
        (4, 4, "undecodable_picture"),
        (5, 5, "unsupported_format"),
        (6, 6, "picture_too_large"),
    ]
    passed = [frame for frame in plant.frames() if frame.id.camera == "c2"]
    assert [frame.picture for frame in passed] == [files["a.png"], files["g.jpg"]]
    assert [frame.content_type for frame in passed] == ["image/png", "image/jpeg"]
    made = [frame for frame in plant.frames() if frame.id.camera == "c1"]
    assert_rendered(made)
    plant.assert_accounts_closed("c3")
    drilled = [frame.picture for frame in plant.frames() if frame.id.camera == "c3"]
    assert drilled == list(files.values()), "a drill delivers poison unchecked"


def assert_rendered(frames: list[Frame]) -> None:
    """The synthetic truth is retrievable: frame n on the topic is ``render(options, n)``, as JPEG."""
    options = SyntheticOptions(size=64, seed=5)
    for frame in frames:
        info = inspect(frame.picture, PictureLimits(1 << 20, 1 << 20))
        pixels = decode(frame.picture, info, "gray").astype(int)
        assert abs(pixels - render(options, frame.id.sequence)).mean() < 4
        assert frame.traceparent is not None
        assert frame.traceparent.startswith("00-")
    assert all(a.captured_at < b.captured_at for a, b in pairwise(frames))
    assert len({frame.traceparent for frame in frames}) == len(frames)


def test_one_process_runs_a_camera_until_it_is_told_to_stop(plant: ProducersLine) -> None:
    plant.describe('id: c1, product: part, source: "synthetic:?fps=50&size=64&distinct=20"')
    plant.create_topics()
    running = plant.start()
    plant.eventually_status("c1", state="up")
    second = plant.start("--camera", "c1")
    assert second.wait() == 2
    assert "run by another process" in second.text()
    assert running.stop() == 0
    (final,) = plant.assert_accounts_closed("c1")
    assert (final.reason, final.published) == ("stopped", final.captured)


def test_a_killed_producer_is_accounted_for_by_the_next_run(plant: ProducersLine) -> None:
    plant.describe(
        'id: c1, product: part, when_behind: block, source: "synthetic:?fps=300&size=64&limit=1500"'
    )
    plant.create_topics()
    running = plant.start()
    plant.eventually_status("c1", state="up")
    running.kill()
    assert plant.start().wait() == 0
    killed, ended = plant.assert_accounts_closed("c1")
    assert killed.reason == "producer_killed"
    assert set(killed.dropped) <= {"producer_killed"}
    assert (ended.reason, ended.published) == ("limit", 1500)


def test_frozen_dark_and_bright_cameras_are_told_apart(plant: ProducersLine) -> None:
    for name, values in {"frozen": (99, 99), "dark": (0, 3), "bright": (251, 255)}.items():
        (plant.home / name).mkdir()
        for number, value in enumerate(values):
            pixels = render(OPTIONS, 1) * 0 + value
            (plant.home / name / f"{number}.png").write_bytes(encode_png(pixels))
    plant.describe(
        """
        id: c1, product: part, source: "folder:./frozen?fps=15&loop=true"
        id: c2, product: part, source: "folder:./dark?fps=9&loop=true"
        id: c3, product: part, source: "folder:./bright?fps=9&loop=true"
        id: c4, product: part, source: "folder:./missing?fps=9&loop=true"
        """
    )
    plant.create_topics()
    running = plant.start()
    for camera, state in {"c1": "frozen", "c2": "dark", "c3": "bright", "c4": "down"}.items():
        status = plant.eventually_status(camera, state=state)
        assert status.state_counts[status.reason] >= 1
    assert running.stop() == 0
    (missing,) = plant.assert_accounts_closed("c4")
    assert missing.captured == 0


def test_missing_topics_end_the_process_with_what_to_do(plant: ProducersLine) -> None:
    plant.describe('id: c1, product: part, source: "synthetic:?fps=20&size=64"')
    running = plant.start()
    assert running.wait() == 4
    assert "steadyline topics create" in running.text()
