"""What the producers are made of: the one place that names concrete classes."""

import fcntl
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
from producers.delivery.connection import Link
from producers.delivery.published import SharedSearch
from producers.delivery.recovery import Recovery
from producers.delivery.sender import Sender, Window
from producers.delivery.spool import Spool
from producers.delivery.status_publisher import Announcer
from producers.encoding import Encoding
from producers.service import Producers
from producers.sources.address import parse_source
from producers.sources.open import Wanted, open_source
from steadyline.backoff import Backoff
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


@dataclass(frozen=True, slots=True)
class Shared:
    """What the cameras of one process use together."""

    link: Link
    announcer: Announcer
    search: SharedSearch


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
        search = SharedSearch(topics.frames.name)
        for section in sections:
            folder = stack.enter_context(_claimed(settings.state, section.id))
            parts = _parts(around, section, folder, Shared(link, announcer, search))
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


def _parts(around: Surroundings, section: CameraSection, folder: Path, shared: Shared) -> CameraParts:
    settings, clock, line = around.settings, around.clock, around.line
    wanted = _wanted(line, section)
    address = parse_source(section.id, section.source, around.base)
    source = open_source(address, wanted, settings, clock)
    frames = line.kafka_topics().frames.name
    ledger = Ledger(line.line, section.id, section.product, folder)
    spool = Spool(section.id, folder, settings.spool_bytes, ledger.drop)
    buffers = _buffers(section, settings, ledger, spool)
    recovery = Recovery(left_behind(folder), ledger, spool, shared.search)
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
        sender=Sender(frames, buffers, ledger, shared.link, clock),
        link=shared.link,
        announcer=shared.announcer,
        rate=Rate(source.expected_fps),
        backoff=Backoff.of_seconds(settings.reconnect_seconds, settings.reconnect_longest_seconds),
        inspection=inspection,
        recovery=recovery,
    )


def _wanted(line: Line, section: CameraSection) -> Wanted:
    picture = line.products[section.product].picture
    limits = PictureLimits(picture.max_bytes, picture.max_pixels)
    return Wanted(section.id, picture.channels, limits, MAX_FRAME_BYTES - _HEADER_ROOM)


def _buffers(
    section: CameraSection, settings: ProducersSettings, ledger: Ledger, spool: Spool
) -> list[Buffer]:
    """Return where frames are taken from, the one that captures go to last.

    The spool comes first whatever the policy is now: it may hold what an earlier run left.
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
