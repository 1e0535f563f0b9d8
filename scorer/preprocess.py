"""Turns a record into the model's input: it reads the headers, checks limits, decodes and prepares."""

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

from scorer import metrics
from scorer.batching import Batcher
from scorer.frame_task import FrameTask
from scorer.model_slot import Slots
from steadyline.clock import Clock
from steadyline.contracts.frame import Frame
from steadyline.errors import UnknownCamera
from steadyline.kafka.broker import Record
from steadyline.line import Line
from steadyline.picture import PictureLimits, decode, inspect
from steadyline.prepare import prepare


def read_frame(record: Record, line: Line) -> Frame:
    """Return the frame of a record without looking at its picture.

    Raises MalformedHeaders, or UnknownCamera when the line has no such product, no such camera (where it
    lists any), or that camera under another product.
    """
    frame = Frame.decode(record.value, record.headers)
    if frame.product not in line.products:
        raise UnknownCamera(f"frame {frame.id}: the line has no product {frame.product!r}")
    known = {camera.id: camera.product for camera in line.cameras}
    if known and known.get(frame.id.camera) != frame.product:
        raise UnknownCamera(
            f"frame {frame.id}: the line has no camera {frame.id.camera!r} of product {frame.product!r}"
        )
    return frame


@dataclass(frozen=True, slots=True)
class Preprocessor:
    """Makes a frame's model input on the threads of ``pool`` and gives the frame to its product's batcher."""

    line: Line
    slots: Slots
    clock: Clock
    pool: Executor
    batchers: Mapping[str, Batcher]

    def put(self, task: FrameTask) -> None:
        """Queue a frame; an error in it breaks its promise."""
        self.pool.submit(task.attempt, partial(self._hand_on, task))

    def _hand_on(self, task: FrameTask) -> None:
        if task.is_wanted:
            self.prepare(task)
            self.batchers[task.frame.product].put(task)

    def prepare(self, task: FrameTask) -> None:
        """Fill in ``info``, ``input`` and ``prepared`` for the model in use, or by the line file without one.

        Raises the poison errors of ``steadyline.picture``.
        """
        section = self.line.products[task.frame.product].picture
        data = task.frame.picture
        began = self.clock.monotonic()
        info = inspect(data, PictureLimits(section.max_bytes, section.max_pixels))
        model = self.slots[task.frame.product].known
        size, channels = (model.size, model.channels) if model else (section.size, section.channels)
        pixels = decode(data, info, channels)
        decoded = self.clock.monotonic()
        task.prepared = prepare(pixels, size, channels)
        task.info, task.input = info, (size, channels)
        metrics.STAGE_SECONDS.record(decoded - began, stage="decode")
        metrics.STAGE_SECONDS.record(self.clock.monotonic() - decoded, stage="prepare")
