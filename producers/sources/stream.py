"""Read ``video:``, ``rtsp://`` and ``usb:`` through PyAV; only this file imports av."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import av
import av.error
import numpy as np
from typing_extensions import override

from producers.sources.pacing import Pacer
from producers.sources.source import CameraLost, Capture, Content, FrameSource
from steadyline.clock import Clock
from steadyline.errors import PictureTooManyPixels, UndecodablePicture
from steadyline.picture import Channels, Pixels

_BROKEN_IN_A_ROW = 50  # undecodable packets in a row after which the stream is useless: reconnect

# FFmpeg's error -> our word; the first match counts.
LOST_BY: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    (av.error.ConnectionRefusedError, "refused"),
    ((av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError, av.error.PermissionError), "unauthorized"),
    ((av.error.HTTPNotFoundError, av.error.FileNotFoundError), "not_found"),
    ((av.error.TimeoutError, av.error.ExitError), "timeout"),
    ((av.error.EOFError, ConnectionError), "end_of_stream"),
    ((av.error.InvalidDataError, av.error.DecoderNotFoundError, av.error.PatchWelcomeError), "invalid_data"),
)


@dataclass(frozen=True, slots=True)
class StreamAddress:
    """What to open. ``name`` is for messages and contains no password; ``live`` streams have no end."""

    url: str
    name: str
    live: bool
    format: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    timeout_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class StreamRules:
    """What to take and how to decode it; ``fps`` None takes all of a live stream, a file at its own rate."""

    channels: Channels
    max_pixels: int
    fps: float | None = None
    loop: bool = False


def has_usb_cameras() -> bool:
    """Tell whether the installed PyAV can read Video4Linux devices; its published wheels cannot."""
    return "v4l2" in av.formats_available


class StreamSource(FrameSource):
    """Frames of a video stream as pixels. A file that is reopened after an error continues where it was."""

    def __init__(self, address: StreamAddress, rules: StreamRules, clock: Clock) -> None:
        self._address = address
        self._rules = rules
        self._clock = clock
        self._given = 0  # frames of a file that were captured so far
        self._rate: float | None = None

    @property
    @override
    def expected_fps(self) -> float | None:
        return self._rules.fps or self._rate

    @override
    def captures(self, stop: threading.Event) -> Iterator[Capture]:
        while not stop.is_set():
            yield from self._one_pass(stop)
            if stop.is_set():
                return
            if self._address.live:
                raise CameraLost("end_of_stream", f"{self._address.name} ended the stream")
            if not self._rules.loop:
                return
            if not self._given:
                raise CameraLost("no_video", f"{self._address.name} holds no frames")
            self._given = 0

    def _one_pass(self, stop: threading.Event) -> Iterator[Capture]:
        with self._opened() as container:
            stream = self._video(container)
            contents = self._contents(container, stream)
            if self._address.live:
                yield from self._thinned(contents, stop)
            else:
                yield from self._replayed(contents, stop)

    def _thinned(self, contents: Iterator[Content], stop: threading.Event) -> Iterator[Capture]:
        """Capture from a live stream; a frame that comes too soon after the last one is not captured."""
        period = 1.0 / self._rules.fps if self._rules.fps else 0.0
        due = self._clock.monotonic()
        for content in contents:
            now = self._clock.monotonic()
            if stop.is_set():
                return
            if now < due - 0.1 * period:  # a tenth early is allowed as jitter of the network
                continue
            due = max(due + period, now)
            yield Capture(self._clock.now(), content)

    def _replayed(self, contents: Iterator[Content], stop: threading.Event) -> Iterator[Capture]:
        pacer = Pacer(self._rules.fps or self._rate, self._clock)
        for number, content in enumerate(contents):
            if number < self._given:
                continue
            if pacer.wait(stop):
                return
            self._given = number + 1
            yield Capture(self._clock.now(), content)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        address = self._address
        options = {"max_pixels": str(self._rules.max_pixels), **address.options}
        try:
            container = av.open(
                address.url, format=address.format, options=options, timeout=address.timeout_seconds
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise self._lost("opened", error) from error
        try:
            yield container
        finally:
            container.close()

    def _video(self, container: Any) -> Any:
        if not container.streams.video:
            raise CameraLost("no_video", f"{self._address.name} holds no video")
        stream = container.streams.video[0]
        width, height = stream.codec_context.width, stream.codec_context.height
        if (
            not 0 < width * height <= self._rules.max_pixels
        ):  # 0: FFmpeg itself refused, because of max_pixels
            size = f"announces {width} x {height} pixels" if width else "announces no size or too large a one"
            raise CameraLost(
                "too_many_pixels",
                f"{self._address.name} {size}; the limit is {self._rules.max_pixels} pixels",
            )
        rate = float(stream.average_rate) if stream.average_rate else 0.0
        self._rate = rate if 0 < rate <= 1000 else None
        return stream

    def _contents(self, container: Any, stream: Any) -> Iterator[Content]:
        broken = 0
        try:
            for packet in container.demux(stream):
                try:
                    frames = packet.decode()
                except av.error.EOFError:
                    return
                except (av.error.FFmpegError, ValueError) as error:
                    broken += 1
                    if broken >= _BROKEN_IN_A_ROW:
                        raise CameraLost("invalid_data", f"{self._address.name}: {error}") from error
                    yield UndecodablePicture(f"a packet of {self._address.name}: {error}")
                    continue
                for frame in frames:
                    broken = 0
                    yield self._pixels(frame)
        except (av.error.FFmpegError, OSError) as error:
            raise self._lost("read", error) from error

    def _pixels(self, frame: Any) -> Pixels | PictureTooManyPixels:
        if frame.width * frame.height > self._rules.max_pixels:
            return PictureTooManyPixels(f"{frame.width} x {frame.height} pixels")
        wanted = "gray" if self._rules.channels == "gray" else "rgb24"
        return np.ascontiguousarray(frame.to_ndarray(format=wanted), dtype=np.uint8)

    def _lost(self, what: str, error: Exception) -> CameraLost:
        why = next((word for kinds, word in LOST_BY if isinstance(error, kinds)), "io_error")
        detail = (
            getattr(error, "strerror", None) or type(error).__name__
        )  # str(error) would show the password
        return CameraLost(why, f"{self._address.name} cannot be {what}: {detail}")
