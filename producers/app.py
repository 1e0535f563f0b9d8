"""What the producers are made of: the one place that names concrete classes."""

import fcntl
import os
import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from producers.address import FolderOptions, SyntheticOptions, parse_source
from producers.announce import Announcer
from producers.backoff import Backoff
from producers.buffer import Buffer, BufferLimits, MemoryBuffer
from producers.camera import Camera, CameraParts
from producers.capture import Source
from producers.capturer import Capturer, CaptureRules
from producers.condition import Rate
from producers.config import ProducersSettings
from producers.encoding import Encoding
from producers.folder import FolderSource
from producers.ledger import Ledger
from producers.link import Link
from producers.sender import Sender, Window
from producers.service import Producers
from producers.synthetic import SyntheticSource
from steadyline.clock import Clock
from steadyline.contracts.topics import MAX_FRAME_BYTES
from steadyline.errors import InvalidConfiguration
from steadyline.kafka.broker import Broker
from steadyline.line import CameraSection, Line
from steadyline.picture import PictureLimits
from steadyline.telemetry.health import Health

_HEADER_ROOM = 64 << 10  # of a message's size limit, for its headers and key
_WINDOW_SHARE = 0.75  # of the bytes in flight; the rest lets statuses through when frames fill it


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all cameras share."""

    line: Line
    base: Path  # folder of the line file: relative sources are taken from it
    settings: ProducersSettings
    clock: Clock


@contextmanager
def build(
    around: Surroundings, cameras: Sequence[str], broker: Broker, health: Health
) -> Iterator[Producers]:
    """Yield the producers of ``cameras``, all of the line when empty.

    Raises InvalidConfiguration when a camera is unknown, wrongly described, or run by another process.
    """
    sections = _chosen(around.line, cameras)
    settings = around.settings
    topics = around.line.kafka_topics()
    client = f"producers-{around.line.line}-{os.getpid()}"
    link = Link(broker, client, topics, settings.in_flight_bytes, around.clock.monotonic)
    announcer = Announcer(topics.camera_status.name, around.line.line, link)
    share = int(settings.in_flight_bytes * _WINDOW_SHARE / len(sections))
    window = Window(settings.in_flight_frames, share)
    with ExitStack() as stack:
        built = []
        for section in sections:
            folder = stack.enter_context(_claimed(settings.state, section.id))
            parts = _parts(around, section, folder, link, announcer)
            parts.sender.limit(window)
            built.append(Camera(parts, timedelta(seconds=settings.status_seconds), around.clock))
        yield Producers(built, link, health, timedelta(seconds=settings.stop_seconds), around.clock)


def _chosen(line: Line, names: Sequence[str]) -> list[CameraSection]:
    known = {camera.id: camera for camera in line.cameras}
    unknown = sorted(set(names) - known.keys())
    if unknown:
        raise InvalidConfiguration(
            f"no camera {', '.join(unknown)}; the line has {', '.join(known) or 'none'}"
        )
    if not known:
        raise InvalidConfiguration("the line file lists no cameras")
    return [known[name] for name in dict.fromkeys(names)] if names else list(line.cameras)


@contextmanager
def _claimed(state: Path, camera: str) -> Iterator[Path]:
    """Yield the camera's folder of open accounts, held against other processes."""
    folder = state / camera
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a")
    except OSError as error:
        raise InvalidConfiguration(f"PRODUCERS_STATE: {folder} cannot be used: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InvalidConfiguration(
                f"camera {camera} is run by another process that uses the same PRODUCERS_STATE ({state})"
            ) from error
        yield folder


def _parts(
    around: Surroundings, section: CameraSection, folder: Path, link: Link, announcer: Announcer
) -> CameraParts:
    settings, clock = around.settings, around.clock
    address = parse_source(section.id, section.source, around.base)
    picture = around.line.products[section.product].picture
    limits = PictureLimits(picture.max_bytes, picture.max_pixels)
    ledger = Ledger(around.line.line, section.id, section.product, folder)
    buffer = _buffer(section, settings, ledger)
    rules = CaptureRules(
        around.line.line,
        section.id,
        section.product,
        Encoding.parse(section.id, section.encode),
        limits,
        MAX_FRAME_BYTES - _HEADER_ROOM,
        address.options.limit,
    )
    source = _source(around, section, limits)
    return CameraParts(
        id=section.id,
        ledger=ledger,
        buffer=buffer,
        capturer=Capturer(rules, source, ledger, buffer, clock),
        sender=Sender(around.line.kafka_topics().frames.name, buffer, ledger, link, clock),
        link=link,
        announcer=announcer,
        rate=Rate(source.expected_fps),
        backoff=_backoff(settings),
        quality=lambda: None,
        recover=lambda: None,
    )


def _source(around: Surroundings, section: CameraSection, limits: PictureLimits) -> Source:
    address = parse_source(section.id, section.source, around.base)
    options = address.options
    channels = around.line.products[section.product].picture.channels
    if isinstance(options, FolderOptions):
        most = limits.max_bytes if options.check else MAX_FRAME_BYTES - _HEADER_ROOM
        return FolderSource(Path(address.target), options, most, around.clock)
    if isinstance(options, SyntheticOptions):
        return SyntheticSource(options, channels, around.clock)
    raise InvalidConfiguration(f"camera {section.id}: {address.kind}: is not there yet")


def _buffer(section: CameraSection, settings: ProducersSettings, ledger: Ledger) -> Buffer:
    limits = BufferLimits(settings.queue_frames, settings.queue_bytes)
    policy = "block" if section.when_behind == "spool" else section.when_behind
    return MemoryBuffer(policy, limits, ledger.drop)


def _backoff(settings: ProducersSettings) -> Backoff:
    return Backoff(
        timedelta(seconds=settings.reconnect_seconds),
        timedelta(seconds=settings.reconnect_longest_seconds),
        random.Random(),
    )
