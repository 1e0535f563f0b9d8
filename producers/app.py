"""Builds the producers from their parts; only this module names the concrete classes."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from producers.accounting.epoch_folder import left_behind
from producers.accounting.ledger import Ledger
from producers.camera import Camera, CameraParts
from producers.camera_state.inspection import Inspection
from producers.camera_state.quality import QualityLimits
from producers.camera_state.state import Rate
from producers.capturer import Capturer, CaptureRules
from producers.config import ProducersSettings
from producers.delivery.buffer import Buffer, BufferLimits, MemoryBuffer
from producers.delivery.connection import LazyPublisher
from producers.delivery.published import PublishedFrames
from producers.delivery.recovery import Recovery
from producers.delivery.sender import Sender, Window
from producers.delivery.spool import Spool
from producers.delivery.status_publisher import StatusPublisher
from producers.encoding import Encoding
from producers.service import Producers
from producers.sources.address import parse_source
from producers.sources.open import FrameRequirements, open_source
from producers.sources.part_names import PartNames
from steadyline.backoff import Backoff
from steadyline.clock import Clock
from steadyline.contracts.topics import MAX_FRAME_BYTES
from steadyline.errors import InvalidConfiguration
from steadyline.folder_lock import FolderInUse, FolderLock
from steadyline.kafka.broker import Broker
from steadyline.line import CameraSection, Line
from steadyline.picture import PictureLimits
from steadyline.telemetry.health import ServiceHealth

_HEADER_ROOM = 64 << 10  # bytes of a message that are reserved for its headers and key
_WINDOW_SHARE = 0.75  # share of the bytes in flight for frames; the rest lets statuses through


@dataclass(frozen=True, slots=True)
class ProducersDependencies:
    """What all cameras share."""

    line: Line
    base: Path  # folder of the line file, which relative sources start from
    settings: ProducersSettings
    clock: Clock


@dataclass(frozen=True, slots=True)
class CameraConnections:
    """What the cameras of one process use together."""

    publisher: LazyPublisher
    status_publisher: StatusPublisher
    published_frames: PublishedFrames


@contextmanager
def build(
    dependencies: ProducersDependencies, cameras: Sequence[str], broker: Broker, health: ServiceHealth
) -> Iterator[Producers]:
    """Yield the producers of ``cameras``, or of the whole line when ``cameras`` is empty.

    Raises InvalidConfiguration when a camera is unknown, wrongly described, or run by another process.
    """
    sections = _chosen(dependencies.line, cameras)
    settings = dependencies.settings
    topics = dependencies.line.kafka_topics()
    client = f"producers-{dependencies.line.line}-{os.getpid()}"
    publisher = LazyPublisher(broker, client, dependencies.line, settings.in_flight_bytes, dependencies.clock)
    status_publisher = StatusPublisher(topics.camera_status.name, dependencies.line.line, publisher)
    share = int(settings.in_flight_bytes * _WINDOW_SHARE / len(sections))
    window = Window(settings.in_flight_frames, share)
    with ExitStack() as stack:
        built = []
        published_frames = PublishedFrames(topics.frames.name)
        for section in sections:
            folder = stack.enter_context(_claimed(settings.state, section.id))
            parts = _parts(
                dependencies,
                section,
                folder,
                CameraConnections(publisher, status_publisher, published_frames),
            )
            parts.sender.limit(window)
            built.append(Camera(parts, timedelta(seconds=settings.status_seconds), dependencies.clock))
        yield Producers(
            built, publisher, health, timedelta(seconds=settings.stop_seconds), dependencies.clock
        )


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
    """Yield the camera's folder of open accounts, locked against other processes."""
    folder = state / camera
    lock = FolderLock(folder)
    try:
        lock.take()
    except FolderInUse as error:
        raise InvalidConfiguration(
            f"camera {camera} is run by another process that uses the same PRODUCERS_STATE ({state})"
        ) from error
    except OSError as error:
        raise InvalidConfiguration(f"PRODUCERS_STATE: {folder} cannot be used: {error.strerror}") from error
    try:
        yield folder
    finally:
        lock.release()


def _parts(
    dependencies: ProducersDependencies, section: CameraSection, folder: Path, shared: CameraConnections
) -> CameraParts:
    settings, clock, line = dependencies.settings, dependencies.clock, dependencies.line
    wanted = _wanted(line, section)
    address = parse_source(section.id, section.source, dependencies.base)
    source = open_source(address, wanted, settings, clock)
    frames = line.kafka_topics().frames.name
    ledger = Ledger(line.line, section.id, section.product, folder)
    spool = Spool(section.id, folder, settings.spool_bytes, ledger.drop)
    buffers = _buffers(section, settings, ledger, spool)
    recovery = Recovery(left_behind(folder), ledger, spool, shared.published_frames)
    inspection = Inspection(_quality_limits(settings), wanted.limits, settings.quality_seconds, clock)
    rules = CaptureRules(
        line.line,
        section.id,
        section.product,
        Encoding.parse(section.id, section.encode),
        wanted.limits,
        wanted.max_message,
        address.options.limit,
        inspection.watch,
    )
    return CameraParts(
        id=section.id,
        ledger=ledger,
        buffer=buffers[-1],
        capturer=Capturer(rules, source, ledger, buffers[-1], clock),
        sender=Sender(frames, buffers, ledger, shared.publisher, clock),
        publisher=shared.publisher,
        status_publisher=shared.status_publisher,
        rate=Rate(lambda: source.expected_fps),
        backoff=Backoff.of_seconds(settings.reconnect_seconds, settings.reconnect_longest_seconds),
        inspection=inspection,
        recovery=recovery,
    )


def _wanted(line: Line, section: CameraSection) -> FrameRequirements:
    picture = line.products[section.product].picture
    limits = PictureLimits(picture.max_bytes, picture.max_pixels)
    most, parts = MAX_FRAME_BYTES - _HEADER_ROOM, PartNames.parse(section.part_pattern)
    return FrameRequirements(section.id, picture.channels, limits, most, parts)


def _buffers(
    section: CameraSection, settings: ProducersSettings, ledger: Ledger, spool: Spool
) -> list[Buffer]:
    """Return the buffers that frames are taken from; captures go to the last one.

    The spool comes first whatever the present policy is, because it may hold frames of an earlier run.
    """
    if section.when_behind == "spool":
        return [spool]
    limits = BufferLimits(settings.queue_frames, settings.queue_bytes)
    return [spool, MemoryBuffer(section.when_behind, limits, ledger.drop)]


def _quality_limits(settings: ProducersSettings) -> QualityLimits:
    return QualityLimits(
        settings.dark_below,
        settings.bright_above,
        settings.frozen_below,
        settings.blurred_below,
        settings.quality_checks,
    )
