"""Whatever the bits, turns and names of pictures: every reader sees the same, and says what it assumed."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from structlog.testing import capture_logs

from producers.encoding import Encoding, encoded_picture
from producers.sources.source import Capture, Encoded
from scorer.frame_task import FrameTask
from scorer.model_slot import empty_slots
from scorer.preprocess import Preprocessor
from steadyline.clock import SystemClock
from steadyline.contracts.frame import Frame, FrameId
from steadyline.grid import Grid
from steadyline.line import Line, PictureSection
from steadyline.picture import PictureLimits
from tests.support.models import a_defective_picture
from tests.support.pictures import assuming
from trainer.data.mvtec import Preparation, read_normals
from trainer.data.normals import from_folder
from trainer.data.snapshot import NormalSource, Snapshot, unpack

PICTURE = a_defective_picture(32)
FORMS = list(assuming(PICTURE))
LIMITS = PictureLimits(1 << 20, 1 << 20)


@dataclass
class Seen:
    """What one reader makes of a picture: the model's input, and what it says."""

    input: np.ndarray[Any, np.dtype[np.uint8]]
    said: list[str]


def assumed(lines: Sequence[Any]) -> list[str]:
    return [str(line["assumed"]) for line in lines if line["event"] == "picture_assumed"]


def scored(data: bytes, folder: Path) -> Seen:
    """Prepare the picture three times as a scorer does, which says it once."""
    now = datetime.now(UTC)
    frame = Frame(FrameId("c", 1, 1), "l", "part", now, "image/png", data, None)
    task = FrameTask(cast(Any, None), frame, cast(Any, None), cast(Any, None))
    line = Line.model_validate({"line": "l", "products": {"part": {"picture": {"size": 32}}}})
    with ThreadPoolExecutor(1) as pool, capture_logs() as lines:
        preprocessor = Preprocessor(line, empty_slots(["part"]), SystemClock(), pool, {})
        for _ in range(3):
            preprocessor.prepare(task)
    assert task.prepared is not None
    return Seen(task.prepared[..., 0], assumed(lines))


def trained(data: bytes, folder: Path) -> Seen:
    (folder / "a.png").write_bytes(data)
    with capture_logs() as lines:
        ((_, pixels),) = from_folder(folder, PictureSection(size=32))
    return Seen(pixels[..., 0], assumed(lines))


def evaluated(data: bytes, folder: Path) -> Seen:
    (folder / "train/good").mkdir(parents=True)
    (folder / "train/good/a.jpg").write_bytes(data)
    with capture_logs() as lines:
        pixels = read_normals(folder, Preparation(Grid.square(32), "gray", LIMITS))[0]
    return Seen(pixels[0, ..., 0], assumed(lines))


@pytest.mark.parametrize("read", [scored, trained, evaluated])
@pytest.mark.parametrize(("data", "told"), [form[1:] for form in FORMS], ids=[form[0] for form in FORMS])
def test_every_reader_sees_the_same_and_says_what_it_assumed(
    data: bytes, told: str | None, read: Callable[[bytes, Path], Seen], tmp_path: Path
) -> None:
    seen = read(data, tmp_path)
    assert np.abs(seen.input.astype(int) - PICTURE).max() <= 17  # 4 bits have steps of 17
    assert len(seen.said) == (told is not None)
    assert all(told in sentence for sentence in seen.said if told is not None)


@pytest.mark.parametrize(("data", "told"), [form[1:] for form in FORMS], ids=[form[0] for form in FORMS])
def test_a_camera_passes_it_on_and_says_the_same(data: bytes, told: str | None) -> None:
    capture = Capture(datetime.now(UTC), Encoded(data, "image/png"))
    passed = encoded_picture(capture, Encoding("png"), LIMITS, 1 << 20)
    assert passed.data == data
    assert len(passed.assumed) == (told is not None)
    assert told is None or told in passed.assumed[0]


@pytest.mark.parametrize(
    "name", [b"\xff\xfe.png", b"a\nb.png", b"tab\t.png", "\u202egnp.png".encode(), b"'; --.png"]
)
def test_a_name_of_any_bytes_is_read_kept_and_shown(name: bytes, tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(name)).write_bytes(FORMS[0][1])
    ((source, pixels),) = from_folder(tmp_path, PictureSection(size=32))
    assert source.id.isprintable()
    packed = Snapshot((source,), pixels[None], np.array([False])).pack()
    assert unpack(packed).sources == (NormalSource(id=source.id, uri=source.uri),)
