"""Video files are read through PyAV: paced, bounded, and taken up again where they were lost."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from pydantic import SecretStr

from producers.config import ProducersSettings
from producers.sources.open import with_credentials, without_credentials
from producers.sources.source import CameraLost, Capture
from producers.sources.stream import StreamAddress, StreamRules, StreamSource
from steadyline.clock import ManualClock


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten frames of 64 x 48, brighter each, at 5 a second."""
    path = tmp_path_factory.mktemp("video") / "ten.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(10):
            pixels = np.full((48, 64, 3), 20 * number + 20, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def a_source(
    path: Path, clock: ManualClock | None = None, live: bool = False, **rules: object
) -> StreamSource:
    address = StreamAddress(str(path), path.name, live=live)
    wanted = StreamRules(**{"channels": "gray", "max_pixels": 1_000_000, **rules})  # type: ignore[arg-type]
    return StreamSource(address, wanted, clock or ManualClock())


def means(captures: Iterator[Capture] | list[Capture]) -> list[float]:
    return [float(c.content.mean()) for c in captures if isinstance(c.content, np.ndarray)]


def test_a_file_plays_once_at_its_own_rate(video: Path) -> None:
    found = list(a_source(video).captures(threading.Event()))
    assert len(found) == 10
    assert means(found) == pytest.approx([20 * n + 20 for n in range(10)], abs=8)
    assert (found[9].captured_at - found[0].captured_at).total_seconds() == pytest.approx(1.8)


def test_colour_comes_as_three_channels(video: Path) -> None:
    first = next(a_source(video, channels="rgb").captures(threading.Event()))
    assert isinstance(first.content, np.ndarray)
    assert first.content.shape == (48, 64, 3)


def test_a_loop_begins_again(video: Path) -> None:
    captures = a_source(video, loop=True, fps=100).captures(threading.Event())
    values = means([next(captures) for _ in range(12)])
    assert values[10:] == pytest.approx(values[:2], abs=1)


def test_a_file_is_taken_up_where_it_was_lost(video: Path) -> None:
    source = a_source(video)
    first = source.captures(threading.Event())
    before = means([next(first) for _ in range(4)])
    after = means(list(source.captures(threading.Event())))
    assert before + after == pytest.approx([20 * n + 20 for n in range(10)], abs=8)


def test_a_live_stream_is_thinned_and_its_end_is_a_loss(video: Path) -> None:
    source = a_source(video, live=True, fps=1)
    with pytest.raises(CameraLost) as caught:
        list(source.captures(threading.Event()))
    assert caught.value.why == "end_of_stream"


def test_too_many_pixels_are_refused_before_any_is_decoded(video: Path) -> None:
    with pytest.raises(CameraLost) as caught:
        list(a_source(video, max_pixels=1000).captures(threading.Event()))
    assert caught.value.why == "too_many_pixels"


@pytest.mark.parametrize(
    ("content", "why"), [(None, "not_found"), (b"", "end_of_stream"), (b"\x00" * 4000, "invalid_data")]
)
def test_a_file_that_is_none_is_a_lost_camera(tmp_path: Path, content: bytes | None, why: str) -> None:
    path = tmp_path / "x.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CameraLost) as caught:
        list(a_source(path).captures(threading.Event()))
    assert caught.value.why in (why, "invalid_data")


def test_damage_in_the_middle_ends_nothing(video: Path, tmp_path: Path) -> None:
    data = bytearray(video.read_bytes())
    chance = np.random.default_rng(1)
    for position in chance.integers(100, len(data) - 1200, 60):
        data[position] = int(chance.integers(256))
    path = tmp_path / "damaged.mp4"
    path.write_bytes(bytes(data))
    found: list[Capture] = []
    with suppress(CameraLost):
        found.extend(a_source(path).captures(threading.Event()))
    assert len(found) <= 20


def test_a_lost_camera_does_not_tell_its_password() -> None:
    url = "rtsp://me:secret@127.0.0.1:9/cam"
    address = StreamAddress(url, without_credentials(url), live=True, timeout_seconds=2)
    source = StreamSource(address, StreamRules("gray", 1000), ManualClock())
    with pytest.raises(CameraLost, match=r"rtsp://127\.0\.0\.1:9/cam cannot be opened") as caught:
        list(source.captures(threading.Event()))
    assert "secret" not in str(caught.value)
    assert caught.value.why == "refused"


def test_credentials_are_added_to_the_address_and_kept_out_of_logs() -> None:
    settings = ProducersSettings(rtsp_username="op", rtsp_password=SecretStr("a/b"))
    assert with_credentials("rtsp://10.0.0.5:554/s?x=1", settings) == "rtsp://op:a%2Fb@10.0.0.5:554/s?x=1"
    assert with_credentials("rtsp://me:mine@h/s", settings) == "rtsp://me:mine@h/s"
    assert without_credentials("rtsp://me:mine@h/s") == "rtsp://h/s"
