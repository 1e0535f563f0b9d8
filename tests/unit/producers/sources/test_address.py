"""Addresses of sources are read with exact errors."""

from pathlib import Path

import pytest

from producers.encoding import Encoding
from producers.sources.address import FolderOptions, LiveOptions, SyntheticOptions, parse_source
from steadyline.errors import InvalidConfiguration

BASE = Path("/plant")


def test_a_relative_folder_is_taken_from_the_line_file() -> None:
    address = parse_source("east-1", "folder:./pictures?fps=2.5&loop=true&limit=3", BASE)
    assert (address.kind, address.target) == ("folder", "/plant/pictures")
    assert address.options == FolderOptions(fps=2.5, loop=True, limit=3)


def test_an_absolute_folder_stays_where_it_is() -> None:
    assert parse_source("east-1", "folder:/data/x", BASE).target == "/data/x"


def test_a_synthetic_source_needs_no_target() -> None:
    address = parse_source("c", "synthetic:?fps=0&defect_rate=0.5&seed=7&size=64", BASE)
    assert address.options == SyntheticOptions(fps=0, defect_rate=0.5, seed=7, size=64)


def test_options_of_the_camera_itself_stay_in_an_rtsp_address() -> None:
    address = parse_source("c", "rtsp://10.0.0.5/stream?channel=1&fps=5&subtype=0", BASE)
    assert address.target == "rtsp://10.0.0.5/stream?channel=1&subtype=0"
    assert address.options == LiveOptions(fps=5)


@pytest.mark.parametrize("query", ["channel1", "a=b;c=d", "x=%2f&y=a+b", "user=op_password=x_stream=0.sdp"])
def test_what_a_camera_wants_in_its_address_is_left_as_it_is_written(query: str) -> None:
    address = parse_source("c", f"rtsp://10.0.0.5/s?{query}&fps=5", BASE)
    assert address.target == f"rtsp://10.0.0.5/s?{query}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("folder:x?fps=0", "fps: Input should be greater than 0"),
        ("folder:x?colour=red", "unknown option; the options are limit, fps, loop"),
        ("folder:?fps=1", "the path after folder: is missing"),
        ("http://x", "the kinds are folder, synthetic, video, rtsp, usb"),
        ("usb:/dev/video0?size=big", "size"),
    ],
)
def test_a_wrong_address_names_the_camera_and_the_option(text: str, told: str) -> None:
    with pytest.raises(InvalidConfiguration, match="camera east-1") as caught:
        parse_source("east-1", text, BASE)
    assert told in str(caught.value)


def test_encodings_are_png_or_jpeg_with_a_quality() -> None:
    assert Encoding.parse("c", "png") == Encoding("png")
    assert Encoding.parse("c", "jpeg") == Encoding("jpeg", 92)
    assert Encoding.parse("c", "jpeg:75") == Encoding("jpeg", 75)
    for wrong in ("gif", "jpeg:0", "jpeg:101", "png:3"):
        with pytest.raises(InvalidConfiguration, match="camera c"):
            Encoding.parse("c", wrong)
