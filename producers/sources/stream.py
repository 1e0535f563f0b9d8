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
from steadyline.errors import PoisonMessage, UndecodablePicture
from steadyline.picture import Channels, PictureLimits

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
    """What to take and how to decode it; ``fps`` None takes all of a live stream, a file at its own rate.

    ``part`` is the part that all frames of the stream show, where its file names one.
    """

    channels: Channels
    limits: PictureLimits
    fps: float | None = None
    loop: bool = False
    part: str | None = None


def has_usb_cameras() -> bool:
    """Tell whether the installed PyAV can read Video4Linux devices; not every build of it can."""
    return any("v4l2" in names.split(",") for names in av.formats_available)  # "video4linux2,v4l2"


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
        if self._address.live and self._rules.fps and self._rate:
            return min(self._rules.fps, self._rate)
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
            yield Capture(self._clock.now(), content, part=self._rules.part)

    def _replayed(self, contents: Iterator[Content], stop: threading.Event) -> Iterator[Capture]:
        pacer = Pacer(self._rules.fps or self._rate, self._clock)
        for number, content in enumerate(contents):
            if number < self._given:
                continue
            if pacer.wait(stop):
                return
            self._given = number + 1
            yield Capture(self._clock.now(), content, part=self._rules.part)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        address = self._address
        options = {"max_pixels": str(self._rules.limits.max_pixels), **address.options}
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
        try:
            self._rules.limits.check_size(width, height)
        except PoisonMessage as error:
            raise CameraLost("too_many_pixels", f"{self._address.name}: {error}") from error
        if not width * height:  # FFmpeg itself refused, because of max_pixels
            limit = self._rules.limits.max_pixels
            raise CameraLost(
                "too_many_pixels",
                f"{self._address.name} announces no size or too large a one; the limit is {limit} pixels",
            )
        # FFmpeg fills what the network has lost, and says so only when told to look while it uses threads.
        stream.codec_context.options = {"enable_er": "1"}
        rate = float(stream.average_rate) if stream.average_rate else 0.0
        self._rate = rate if 0 < rate <= 1000 else None
        return stream

    def _contents(self, container: Any, stream: Any) -> Iterator[Content]:
        broken = 0
        heard = self._clock.monotonic()
        try:
            for (
                packet
            ) in container.demux():  # of every stream, because sound must not hide that pictures stop
                contents = self._decoded(packet) if packet.stream_index == stream.index else []
                for content in contents:
                    broken = broken + 1 if isinstance(content, UndecodablePicture) else 0
                    if broken >= _BROKEN_IN_A_ROW:
                        raise CameraLost("invalid_data", str(content))
                    yield content
                    heard = self._clock.monotonic()
                silence = self._clock.monotonic() - heard
                if self._address.live and silence > self._address.timeout_seconds:
                    told = f"{self._address.name} has sent no picture for {silence:.0f} s"
                    raise CameraLost("timeout", told)
        except (av.error.FFmpegError, OSError) as error:
            raise self._lost("read", error) from error

    def _decoded(self, packet: Any) -> list[Content]:
        """Return the pictures of a packet, or what is wrong with it."""
        try:
            frames = packet.decode()
        except av.error.EOFError:
            return []
        except (av.error.FFmpegError, ValueError) as error:
            return [UndecodablePicture(f"a packet of {self._address.name}: {_told(error)}")]
        return [self._pixels(frame, bool(packet.is_corrupt)) for frame in frames]

    def _pixels(self, frame: Any, in_corrupt_packet: bool) -> Content:
        if frame.is_corrupt or in_corrupt_packet:
            return UndecodablePicture(f"parts of a picture of {self._address.name} are lost")
        try:
            self._rules.limits.check_size(frame.width, frame.height)
        except PoisonMessage as error:
            return error
        wanted = "gray" if self._rules.channels == "gray" else "rgb24"
        return np.ascontiguousarray(frame.to_ndarray(format=wanted), dtype=np.uint8)

    def _lost(self, what: str, error: Exception) -> CameraLost:
        why = next((word for kinds, word in LOST_BY if isinstance(error, kinds)), "io_error")
        return CameraLost(why, f"{self._address.name} cannot be {what}: {_told(error)}")


def _told(error: Exception) -> str:
    """Return what FFmpeg says; str(error) would repeat the address with its password."""
    return getattr(error, "strerror", None) or type(error).__name__
