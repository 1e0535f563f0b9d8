"""What lines of 10 to 10,000 cameras need, worked out from measured costs and stated assumptions."""

from dataclasses import dataclass
from math import ceil

from bench.scaling.costs import FrameCosts

DAY = 86_400


@dataclass(frozen=True, slots=True)
class SizingAssumptions:
    """What is assumed and not measured here; each is printed beside the table."""

    frames_per_second: float = 5.0  # of one camera
    frame_bytes: int = 200_000
    headroom: float = 0.6  # share of a core, a broker or a card that is planned with
    replicas: int = 3
    broker_bytes_per_second: float = 60e6  # written by one broker, replicas included
    broker_disk_bytes: float = 4e12  # of one broker
    retention_seconds: int = DAY  # of frames
    evidence_share: float = 0.03  # of frames whose picture and map are kept
    evidence_days: int = 30
    card_frames_per_second: float = 3_000  # of one GPU; not measured here
    producer_cameras: int = 50  # of one process


@dataclass(frozen=True, slots=True)
class Sizing:
    """One row: what a line of so many cameras needs."""

    cameras: int
    frames_per_second: float
    megabytes_per_second: float
    partitions: int
    scorers: int
    triton_cores: int
    cards: int
    brokers: int
    broker_cores: int
    broker_terabytes: float
    store_terabytes: float
    producers: int
    breaks_first: str


def size_line(cameras: int, costs: FrameCosts, assumed: SizingAssumptions) -> Sizing:
    """Return what a line of ``cameras`` needs; a scorer has one core's worth of its own thread of Python.

    ``costs`` are those of a full load, with each frame's part of its transaction.
    """
    rate = cameras * assumed.frames_per_second
    flow = rate * assumed.frame_bytes
    scorers = ceil(rate * costs.scorer_ms / 1000 / assumed.headroom)
    triton = ceil(rate * costs.triton_ms / 1000 / assumed.headroom)
    written = flow * assumed.replicas
    brokers = max(assumed.replicas, ceil(written / assumed.broker_bytes_per_second))
    kept = rate * assumed.evidence_share * assumed.frame_bytes * DAY * assumed.evidence_days
    return Sizing(
        cameras,
        rate,
        flow / 1e6,
        max(4, 2 * scorers),
        scorers,
        triton,
        ceil(rate / assumed.card_frames_per_second / assumed.headroom),
        brokers,
        ceil(rate * costs.broker_ms / 1000 / assumed.headroom),
        written * assumed.retention_seconds / 1e12,
        kept / 1e12,
        ceil(cameras / assumed.producer_cameras),
        _first(rate, flow, scorers),
    )


@dataclass(frozen=True, slots=True)
class LargestPicture:
    """The largest mean picture in bytes that so many brokers carry, by what would stop a larger one."""

    cameras: int
    brokers: int
    by_network: float
    by_disks: float

    @property
    def first(self) -> str:
        """What a larger picture meets first."""
        return "network" if self.by_network <= self.by_disks else "disks"


def largest_picture(cameras: int, brokers: int, assumed: SizingAssumptions) -> LargestPicture:
    """Return how large pictures on Kafka may be on average; beyond it they belong to the store."""
    copied = cameras * assumed.frames_per_second * assumed.replicas  # pictures a second, with each replica
    return LargestPicture(
        cameras,
        brokers,
        brokers * assumed.broker_bytes_per_second / copied,
        brokers * assumed.broker_disk_bytes / copied / assumed.retention_seconds,
    )


def _first(rate: float, flow: float, scorers: int) -> str:
    """Name what a line of this size meets first when it grows no further parts."""
    if scorers <= 2:
        return "cores of the one machine"
    if flow < 100e6:
        return "partitions: at most one scorer for each"
    if flow < 1_000e6:
        return "disks and network of the brokers"
    return "the brokers' network: pictures would have to go to the store, and references to Kafka"
