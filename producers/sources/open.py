"""Open the source of a camera from its section of the line file."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from producers.config import ProducersSettings
from producers.sources.address import (
    FolderOptions,
    LiveOptions,
    SourceAddress,
    SyntheticOptions,
    VideoOptions,
)
from producers.sources.folder import FolderPlace, FolderSource
from producers.sources.part_names import NO_PARTS, PartNames
from producers.sources.source import FrameSource
from producers.sources.synthetic import SyntheticSource
from steadyline.address import shown
from steadyline.clock import Clock
from steadyline.errors import InvalidConfiguration
from steadyline.picture import Channels, PictureLimits


@dataclass(frozen=True, slots=True)
class FrameRequirements:
    """What the frames of a camera must be; ``max_message`` bounds what is passed on unchecked.

    ``parts`` says which parts the names of its files name.
    """

    camera: str
    channels: Channels
    limits: PictureLimits
    max_message: int
    parts: PartNames = NO_PARTS


def open_source(
    address: SourceAddress, wanted: FrameRequirements, settings: ProducersSettings, clock: Clock
) -> FrameSource:
    """Return the source, not yet connected. Raises InvalidConfiguration for a kind that is not available."""
    options = address.options
    if isinstance(options, FolderOptions):
        most = wanted.limits.max_bytes if options.check else wanted.max_message
        place = FolderPlace(wanted.camera, Path(address.target), wanted.parts)
        return FolderSource(place, options, most, clock)
    if isinstance(options, SyntheticOptions):
        return SyntheticSource(options, wanted.channels, clock)
    if isinstance(options, VideoOptions | LiveOptions):
        return _stream(address, options, wanted, settings, clock)
    raise AssertionError(f"no source for {options!r}")


def _stream(
    address: SourceAddress,
    options: VideoOptions | LiveOptions,
    wanted: FrameRequirements,
    settings: ProducersSettings,
    clock: Clock,
) -> FrameSource:
    # Imported only here: loading FFmpeg takes 20 MB and a third of a second, and most lines need none of it.
    from producers.sources.stream import StreamAddress, StreamRules, StreamSource, has_usb_cameras

    part = wanted.parts.of(Path(address.target).name) if isinstance(options, VideoOptions) else None
    rules = StreamRules(wanted.channels, wanted.limits, options.fps, getattr(options, "loop", False), part)
    timeout = settings.read_timeout_seconds
    if isinstance(options, VideoOptions):
        stream = StreamAddress(address.target, address.target, live=False, timeout_seconds=timeout)
    elif address.kind == "rtsp":
        url = with_credentials(address.target, settings)
        name = shown(address.target)
        transport = {"rtsp_transport": options.transport}
        stream = StreamAddress(url, name, live=True, options=transport, timeout_seconds=timeout)
    elif address.kind == "usb":
        if not has_usb_cameras():
            raise InvalidConfiguration(
                f"camera {wanted.camera}: usb: needs a PyAV that reads Video4Linux devices, and this one "
                "does not: `pip install --no-binary av av` on a machine with FFmpeg's headers"
            )
        asked = {"video_size": options.size, "framerate": f"{options.fps:g}" if options.fps else None}
        given = {name: value for name, value in asked.items() if value}
        stream = StreamAddress(address.target, address.target, True, "v4l2", given, timeout)
    else:
        raise AssertionError(f"no stream for {address.kind!r}")
    return StreamSource(stream, rules, clock)


def with_credentials(url: str, settings: ProducersSettings) -> str:
    """Return an rtsp address, as ``parse_source`` has passed it, with the user and password of the settings,
    unless it names its own.
    """
    if settings.rtsp_username is None or "@" in url:
        return url
    password = settings.rtsp_password.get_secret_value() if settings.rtsp_password else ""
    who = f"{quote(settings.rtsp_username, safe='')}:{quote(password, safe='')}"
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{who}@{rest}"
