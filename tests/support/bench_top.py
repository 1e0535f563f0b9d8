"""A handler on an in-memory line, with everything that a test wants to touch."""

import threading
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from typing_extensions import override

from scorer.app import ScorerDependencies, make_handler
from scorer.config import ScorerSettings
from scorer.evidence import EvidenceWriter
from scorer.handler import ScoringHandler, ThreadPools
from scorer.model_slot import ModelSlot, empty_slots
from steadyline.clock import ManualClock
from steadyline.contracts.frame import Frame, FrameId
from steadyline.errors import StoreUnavailable
from steadyline.kafka.broker import Partition, Record
from steadyline.kafka.model_events import EventSeal
from steadyline.line import CameraSection, Line, PictureSection, Product
from steadyline.picture import encode_png
from steadyline.settings import TritonSettings
from steadyline.store import Store
from tests.support.inference import MemoryInference
from tests.support.models import Contrast, a_plain_picture

EPOCH = 1_700_000_000_000_000_000
TOPIC_ID = "hT3bX-Q_RkOa1yq0vN5wZg"  # of the topic of frames


class RefusingStore(Store):
    """A store that refuses the first ``refusals`` objects, as a full disk does.

    While ``is_answering`` is not set, it hangs.
    """

    refusals = 0

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.is_answering = threading.Event()
        self.is_answering.set()

    @override
    def put(self, key: str, data: bytes, content_type: str = "application/octet-stream") -> str:
        self.is_answering.wait()
        if self.refusals > 0:
            self.refusals -= 1
            raise StoreUnavailable(f"{key}: no space left on device")
        return super().put(key, data, content_type)


def a_line() -> Line:
    """Return a line with one product, two cameras and a store of its own."""
    store = f"memory://{uuid.uuid4().hex}"
    picture = PictureSection(size=32, max_bytes=200_000, max_pixels=1_000_000)
    product = Product(picture=picture, evidence_sample=0.0)
    cameras = [CameraSection(id=f"c{number}", product="part", source="folder:.") for number in (1, 2)]
    return Line(line="test", store=store, products={"part": product}, cameras=cameras)


def a_record(sequence: int = 1, data: bytes | None = None, camera: str = "c1", **headers: str) -> Record:
    """Return a frame's record, a plain part by default; ``headers`` replace the true ones."""
    picture = encode_png(a_plain_picture(32)) if data is None else data
    identity = FrameId(camera, EPOCH, sequence)
    frame = Frame(identity, "test", "part", datetime(2026, 1, 1, tzinfo=UTC), "image/png", picture)
    changed = tuple((name, headers.get(name, value.decode()).encode()) for name, value in frame.headers())
    return Record(Partition("steadyline.frames.v1", 0), sequence, camera.encode(), picture, changed, 0)


@dataclass
class BenchTop:
    """The parts, on a clock moved by hand."""

    line: Line = field(default_factory=a_line)
    clock: ManualClock = field(default_factory=ManualClock)
    inference: MemoryInference = field(default_factory=MemoryInference)
    settings: ScorerSettings = field(default_factory=lambda: ScorerSettings(instance="a", max_batch=4))

    def __post_init__(self) -> None:
        self.slots = empty_slots(self.line.products)
        self.store = RefusingStore(self.line.store)
        self.pools = ThreadPools.of(1)
        dependencies = ScorerDependencies(
            self.line, self.settings, TritonSettings(), EventSeal(self.line.line), self.clock
        )
        evidence = EvidenceWriter(self.store, self.line.line, TOPIC_ID)
        self.handler: ScoringHandler = make_handler(
            dependencies, self.slots, self.inference, evidence, self.pools
        )

    @property
    def slot(self) -> ModelSlot:
        """The product's slot."""
        return self.slots["part"]

    def put(self, version: int, model: Contrast) -> None:
        """Serve a version and use it."""
        self.inference.serve("part", version, model.answer)
        self.slot.put(model.event_model(version))

    def settle(self) -> None:
        """Let what is queued on the pools be done."""
        for pool in 2 * (self.pools.decoding, self.pools.finishing, self.pools.keeping):
            all_here = threading.Barrier(pool.limit)  # each thread comes here behind what was queued before
            for answer in [pool.submit(all_here.wait, 10) for _ in range(pool.limit)]:
                answer.result(10)

    def pass_time(self, seconds: float) -> None:
        """Move the clock and turn the handler."""
        self.clock.advance(timedelta(seconds=seconds))
        self.handler.tick()
        self.settle()

    def close(self) -> None:
        """End the threads."""
        self.pools.close()
