"""Whatever a frame's own bytes bring about while they are made a model's input: that frame is poison."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typing_extensions import override

from scorer.frame_task import FrameTask
from scorer.preprocess import Preprocessor, read_frame
from steadyline.clock import ManualClock
from steadyline.daemon_pool import DaemonPool
from steadyline.errors import PictureTooLarge, PoisonMessage, UndecodablePicture
from steadyline.inference import Pixels
from steadyline.picture import encode_jpeg, encode_png
from steadyline.telemetry.tracing import start_span
from tests.support.bench_top import BenchTop, a_line, a_record
from tests.support.models import Contrast
from tests.support.pictures import hostile


@dataclass(frozen=True, slots=True)
class FailingPreprocessor(Preprocessor):
    """Fails with ``error`` where the bytes of a frame are at work."""

    error: BaseException = field(kw_only=True)

    @override
    def model_input(self, *_: Any) -> Pixels:
        raise self.error


class DeepError(RuntimeError):
    """An error that no library says it raises."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        ValueError("cannot reshape array"),
        OverflowError(),
        RecursionError(),
        Image.DecompressionBombError(),
        DeepError("x" * 10_000),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_in_a_frames_own_bytes_is_poison_and_no_bug(error: Exception) -> None:
    line, record = a_line(), a_record()
    slots, clock, pool = BenchTop(line).slots, ManualClock(), DaemonPool(1, "decode")
    preprocessor = FailingPreprocessor(line, slots, clock, pool, {}, error=error)
    frame = read_frame(record, line)
    task = FrameTask(record, frame, start_span("score"), preprocessor.put)
    task.preprocess(task)
    found = task.result.exception(10)
    assert isinstance(found, UndecodablePicture)
    assert type(error).__name__ in str(found)
    pool.close(1)


def test_what_is_known_of_a_picture_keeps_its_own_reason() -> None:
    with pytest.raises(PictureTooLarge):
        BenchTop().handler.submit(a_record(1, b"\x89PNG\r\n\x1a\n" + bytes(200_001))).result(10)


@pytest.mark.parametrize("picture", list(hostile()), ids=lambda picture: picture[0])
def test_a_hostile_picture_ends_as_poison_of_its_reason(
    top: BenchTop, picture: tuple[str, bytes, str]
) -> None:
    top.put(1, Contrast())
    _, data, reason = picture
    with pytest.raises(PoisonMessage) as raised:
        top.handler.submit(a_record(1, data)).result(20)
    assert raised.value.reason == reason


def _damaged(data: bytes, places: list[tuple[int, int]]) -> bytes:
    changed = bytearray(data)
    for place, value in places:
        changed[place % len(changed)] = value
    return bytes(changed)


WHOLE: dict[str, Callable[[int, int], bytes]] = {
    "png": lambda height, width: encode_png(np.zeros((height, width, 3), np.uint8)),
    "jpeg": lambda height, width: encode_jpeg(np.full((height, width), 90, np.uint8)),
}


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(sorted(WHOLE)),
    st.tuples(st.integers(1, 60), st.integers(1, 2000)),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=6),
)
def test_a_picture_of_any_shape_and_with_any_damage_becomes_an_input_or_poison(
    kind: str, sides: tuple[int, int], is_upright: bool, damage: list[tuple[int, int]]
) -> None:
    top = BenchTop()
    top.put(1, Contrast())
    height, width = sides if is_upright else sides[::-1]
    data = _damaged(WHOLE[kind](height, width), damage)
    future = top.handler.submit(a_record(1, data))
    try:
        assert len(future.result(20)) == 1
    except PoisonMessage:
        pass
    finally:
        top.close()
