"""Turns a record into the model's input: it reads the headers, checks limits, decodes and prepares."""

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial

from scorer import metrics
from scorer.batching import Batcher
from scorer.frame_task import FrameTask
from scorer.model_slot import Slots
from steadyline.clock import Clock
from steadyline.contracts.frame import Frame
from steadyline.contracts.model_event import Model
from steadyline.contracts.station import Station
from steadyline.correction import tables_of
from steadyline.errors import PoisonMessage, UndecodablePicture, UnknownCamera
from steadyline.grid import MOST_DISTORTION, Grid
from steadyline.inference import Pixels
from steadyline.kafka.broker import Record
from steadyline.line import Line
from steadyline.picture import Channels, PictureInfo, PictureLimits, decode, inspect
from steadyline.prepare import prepare
from steadyline.station import correction_of
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

MOST_TOLD = 10_000  # where the line lists no cameras, whoever publishes frames names them
_DISTORTED = "distorted"


def read_frame(record: Record, line: Line) -> Frame:
    """Return the frame of a record without looking at its picture.

    Raises MalformedHeaders, also when its key is not its camera, ForeignLine, or UnknownCamera when the line
    has no such product, no such camera (where it lists any), or that camera under another product.
    """
    frame = Frame.decode(record.value, record.headers)
    frame.check_origin(line.line, record.key)
    if frame.product not in line.products:
        raise UnknownCamera(f"frame {frame.id}: the line has no product {frame.product!r}")
    known = {camera.id: camera.product for camera in line.cameras}
    if known and known.get(frame.id.camera) != frame.product:
        raise UnknownCamera(
            f"frame {frame.id}: the line has no camera {frame.id.camera!r} of product {frame.product!r}"
        )
    return frame


def put_right(prepared: Pixels, station: Station, frame: Frame) -> Pixels:
    """Return a prepared picture (H, W, C) as the calibration of its camera's station corrects it."""
    height, width, channels = prepared.shape
    tables = tables_of(correction_of(station), (height, width, channels))
    camera = frame.id.camera
    metrics.STATION_FRAMES.add(1, product=frame.product, camera=camera)
    metrics.STATION_CLIPPED.add(tables.clipped(prepared), product=frame.product, camera=camera)
    return tables.apply(prepared)


@dataclass(frozen=True, slots=True)
class Preprocessor:
    """Makes a frame's model input on the threads of ``pool`` and gives the frame to its product's batcher."""

    line: Line
    slots: Slots
    clock: Clock
    pool: Executor
    batchers: Mapping[str, Batcher]
    told: set[tuple[str, str]] = field(default_factory=set)

    def put(self, task: FrameTask) -> None:
        """Queue a frame; an error in it breaks its promise."""
        self.pool.submit(task.attempt, partial(self._hand_on, task))

    def _hand_on(self, task: FrameTask) -> None:
        if task.is_wanted:
            self.prepare(task)
            self.batchers[task.frame.product].put(task)

    def prepare(self, task: FrameTask) -> None:
        """Fill in ``info``, ``input`` and ``prepared`` for the model in use, or by the line file without one.

        Raises the poison errors of ``steadyline.picture``; whatever else its bytes bring about, memory that
        runs out for example, is UndecodablePicture.
        """
        section = self.line.products[task.frame.product].picture
        data = task.frame.picture
        info = inspect(data, PictureLimits(section.max_bytes, section.max_pixels))
        self._tell(task.frame.product, info.assumed)
        model = self.slots[task.frame.product].known
        grid, channels = self._input(task.frame.product, model)
        try:
            task.prepared = self.model_input(data, info, grid, channels)
        except PoisonMessage:
            raise
        except Exception as error:  # the bytes of this frame alone were at work, so it is at fault and goes
            raise UndecodablePicture(
                f"the {info.format} of {info.width} x {info.height} pixels cannot be prepared: {error!r}"
            ) from error
        self._tell_distortion(task.frame.id.camera, info, grid)
        task.info, task.input = info, (grid, channels)
        task.station = model.stations.get(task.frame.id.camera) if model else None
        if task.station is not None:
            task.prepared = put_right(task.prepared, task.station, task.frame)

    def prepared_bytes(self, product: str) -> int:
        """Return how many bytes a prepared frame of a product has."""
        grid, channels = self._input(product, self.slots[product].known)
        return grid.pixels * (1 if channels == "gray" else 3)

    def _input(self, product: str, model: Model | None) -> tuple[Grid, Channels]:
        """Return what a model takes, or without one what the line file says."""
        section = self.line.products[product].picture
        return (section.grid, section.channels) if model is None else (model.grid, model.channels)

    def model_input(self, data: bytes, info: PictureInfo, grid: Grid, channels: Channels) -> Pixels:
        """Return (height, width, C) uint8 of an encoded picture."""
        began = self.clock.monotonic()
        pixels = decode(data, info, channels)
        decoded = self.clock.monotonic()
        prepared = prepare(pixels, grid, channels)
        metrics.STAGE_SECONDS.record(decoded - began, stage="decode")
        metrics.STAGE_SECONDS.record(self.clock.monotonic() - decoded, stage="prepare")
        return prepared

    def _tell_distortion(self, camera: str, info: PictureInfo, grid: Grid) -> None:
        """Say once for each camera that its frames have other proportions than the model's grid."""
        if grid.distortion(*info.shape) <= MOST_DISTORTION or (camera, _DISTORTED) in self.told:
            return
        if len(self.told) < MOST_TOLD:
            self.told.add((camera, _DISTORTED))
            log.warning("frames_distorted", camera=camera, note=grid.note([info.shape]))

    def _tell(self, product: str, assumed: tuple[str, ...]) -> None:
        """Say once what decoding takes for granted about a product's frames."""
        for sentence in assumed:
            if (product, sentence) not in self.told:
                self.told.add((product, sentence))
                log.warning("picture_assumed", product=product, assumed=sentence)
