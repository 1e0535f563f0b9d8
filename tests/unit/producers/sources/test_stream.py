"""Video files are read through PyAV: paced, bounded, and taken up again where they were lost."""

import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from pydantic import SecretStr
from typing_extensions import override

from producers.config import ProducersSettings
from producers.sources.address import parse_source
from producers.sources.open import FrameRequirements, open_source, with_credentials
from producers.sources.part_names import PartNames
from producers.sources.source import CameraLost, Capture
from producers.sources.stream import StreamAddress, StreamRules, StreamSource
from steadyline.clock import ManualClock
from steadyline.errors import UndecodablePicture
from steadyline.picture import PictureLimits

LIMITS = PictureLimits(1 << 20, 1_000_000)


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
    wanted = StreamRules(**{"channels": "gray", "limits": LIMITS, **rules})  # type: ignore[arg-type]
    return StreamSource(address, wanted, clock or ManualClock())


def means(captures: Iterator[Capture] | list[Capture]) -> list[float]:
    return [float(c.content.mean()) for c in captures if isinstance(c.content, np.ndarray)]


def test_all_frames_of_a_file_show_the_part_that_its_name_names(video: Path) -> None:
    address = parse_source("c1", f"video:{video}?fps=1000", video.parent)
    wanted = FrameRequirements("c1", "gray", LIMITS, 1 << 20, PartNames.parse("(?P<part>ten)"))
    source = open_source(address, wanted, ProducersSettings(), ManualClock())
    assert [one.part for one in source.captures(threading.Event())] == ["ten"] * 10


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
        list(a_source(video, limits=PictureLimits(1 << 20, 1000)).captures(threading.Event()))
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


@pytest.fixture(scope="module")
def lossy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty pictures of H.264 in six slices each; the network has lost four slices of numbers 20 and 40."""
    path = tmp_path_factory.mktemp("lossy") / "lossy.h264"
    coder: Any = av.CodecContext.create("libx264", "w")
    coder.width, coder.height, coder.pix_fmt, coder.framerate = 320, 240, "yuv420p", 25
    coder.time_base = Fraction(1, 25)
    parameters = "slices=6:keyint=120:min-keyint=120:scenecut=0"
    coder.options = {"tune": "zerolatency", "x264-params": parameters, "crf": "20"}
    rng = np.random.default_rng(0)
    scene = np.kron(rng.integers(60, 200, (15, 20)), np.ones((16, 16), np.int64)).astype(np.uint8)
    packets: list[bytes] = []
    for number in range(60):
        gray = np.clip(np.roll(scene, 4 * number, axis=1) + rng.normal(0, 2, scene.shape), 0, 255)
        pixels = np.repeat(gray.astype(np.uint8)[..., None], 3, 2)
        packets += map(bytes, coder.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
    packets += map(bytes, coder.encode(None))
    with path.open("wb") as file:
        for number, packet in enumerate(packets):
            units = re.split(b"(?=\x00\x00\x00\x01|(?<!\x00)\x00\x00\x01)", packet)
            slices = [unit for unit in units if unit and (unit.lstrip(b"\0")[1] & 31) == 1]
            lost = slices[1:5] if number in (20, 40) else []
            file.write(b"".join(unit for unit in units if unit not in lost))
    return path


def test_a_picture_that_has_lost_parts_is_no_good_picture(lossy: Path) -> None:
    address = StreamAddress(str(lossy), "lossy", live=True, format="h264")
    found: list[Capture] = []
    with suppress(CameraLost):
        source = StreamSource(address, StreamRules("gray", LIMITS), ManualClock())
        found.extend(source.captures(threading.Event()))
    refused = [number for number, c in enumerate(found) if isinstance(c.content, UndecodablePicture)]
    assert (len(found), refused) == (60, [20, 40])


class HurryingClock(ManualClock):
    """Goes on by a tenth of a second each time it is asked."""

    @override
    def monotonic(self) -> float:
        self.advance(timedelta(seconds=0.1))
        return super().monotonic()


@pytest.fixture(scope="module")
def stalled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five pictures at 5 a second, and sound for a minute."""
    path = tmp_path_factory.mktemp("stalled") / "stalled.mkv"
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("mpeg4", rate=5)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound: Any = container.add_stream("pcm_s16le", rate=8000)
        for number in range(5):
            pixels = np.full((48, 64, 3), 20 * number, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode())
        for number in range(60):
            heard = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), "s16", "mono")
            heard.sample_rate, heard.pts = 8000, 8000 * number
            container.mux(sound.encode(heard))
    return path


def test_a_camera_whose_pictures_stop_is_lost_though_its_sound_goes_on(stalled: Path) -> None:
    address = StreamAddress(str(stalled), "cam", live=True, timeout_seconds=3)
    found: list[Capture] = []
    source = StreamSource(address, StreamRules("gray", LIMITS), HurryingClock())
    with pytest.raises(CameraLost, match="no picture for 3 s") as caught:
        found.extend(source.captures(threading.Event()))
    assert (len(found), caught.value.why) == (5, "timeout")


def test_a_stream_knows_its_own_rate_once_it_is_open(video: Path) -> None:
    source = a_source(video, live=True)
    assert source.expected_fps is None
    next(source.captures(threading.Event()))
    assert source.expected_fps == 5


def test_a_live_stream_gives_no_more_than_it_has(video: Path) -> None:
    source = a_source(video, live=True, fps=30)
    next(source.captures(threading.Event()))
    assert source.expected_fps == 5


def test_credentials_are_added_to_an_address_that_names_none() -> None:
    settings = ProducersSettings(rtsp_username="op", rtsp_password=SecretStr("a/b"))
    assert with_credentials("rtsp://10.0.0.5:554/s?x=1", settings) == "rtsp://op:a%2Fb@10.0.0.5:554/s?x=1"
    assert with_credentials("rtsp://me:mine@h/s", settings) == "rtsp://me:mine@h/s"
