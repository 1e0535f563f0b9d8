"""The scorer's handler: it takes frames and returns promises of score messages; the loop keeps their order
and commits them.
"""

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass

from scorer import metrics
from scorer.batching import Batcher
from scorer.frame_task import FrameTask
from scorer.postprocess import Postprocessor
from scorer.preprocess import Preprocessor, read_frame
from steadyline.daemon_pool import DaemonPool
from steadyline.errors import Backpressure
from steadyline.kafka.broker import Partition, Record
from steadyline.kafka.loop.stream_loop import Outputs
from steadyline.line import Line
from steadyline.telemetry.holds import Held
from steadyline.telemetry.logs import get_logger
from steadyline.telemetry.tracing import start_span

log = get_logger(__name__)

KEEPERS = 4  # objects written to the store at once
CLOSE_SECONDS = 1.0  # for what is under way when the scorer ends: its frames are not committed


@dataclass(frozen=True, slots=True)
class InFlightLimit:
    """The most frames, and bytes of them, encoded and prepared, that may be in hand; one is always let in."""

    frames: int = 256
    bytes: int = 64 << 20


@dataclass(frozen=True, slots=True)
class ThreadPools:
    """Separate threads for each kind of work: a full decoding queue must not delay scored frames, nor a slow
    store those that keep no evidence.
    """

    decoding: DaemonPool
    finishing: DaemonPool
    keeping: DaemonPool

    @staticmethod
    def of(decoders: int) -> "ThreadPools":
        """Return the pools; ``close`` ends them."""
        return ThreadPools(
            DaemonPool(decoders, "decode"), DaemonPool(1, "finish"), DaemonPool(KEEPERS, "evidence")
        )

    def close(self) -> None:
        """Drop the queued work and end the threads; one that hangs is left behind."""
        for pool in (self.decoding, self.finishing, self.keeping):
            if not pool.close(CLOSE_SECONDS):
                log.warning("pool_left_running", pool=pool.name)


class ScoringHandler:
    """Lets frames in, up to ``limit``, and gives them to the first of the three stages.

    Each stage was given the next one when it was made. See ``RecordHandler``. ``tick`` must be called on
    every turn of the loop, because it drives the retries.
    """

    def __init__(
        self,
        line: Line,
        preprocessor: Preprocessor,
        batchers: Mapping[str, Batcher],
        postprocessor: Postprocessor,
        limit: InFlightLimit,
    ) -> None:
        self._line, self._limit = line, limit
        self._preprocessor, self._batchers, self._postprocessor = preprocessor, batchers, postprocessor
        self._lock = threading.Lock()
        self._frames = self._bytes = 0
        self._told = (-1, -1)

    def submit(self, record: Record) -> Future[Outputs]:
        """See ``RecordHandler.submit``."""
        frame = read_frame(record, self._line)
        size = record.size + self._preprocessor.prepared_bytes(frame.product)
        with self._lock:
            full = self._frames >= self._limit.frames or self._bytes + size > self._limit.bytes
            if self._frames and full:
                raise Backpressure(f"{self._frames} frames, {self._bytes} bytes in hand")
        span = start_span(
            "score", parent=frame.traceparent, attributes={"frame": str(frame.id)}, kind="consumer"
        )
        task = FrameTask(record, frame, span, self._preprocessor.put)
        self._count(1, size)
        task.result.add_done_callback(lambda _: self._count(-1, -size))
        task.preprocess(task)
        return task.result

    def drop(self, partition: Partition) -> None:
        """See ``RecordHandler.drop``; frames being worked on finish, and their results are dropped."""
        for batcher in self._batchers.values():
            batcher.forget(partition)

    def tick(self) -> None:
        """Send and write again what was held back and is due."""
        for batcher in self._batchers.values():
            batcher.pump()
        self._postprocessor.retry()
        in_hand = self._frames, self._bytes
        if in_hand != self._told:  # not on every frame, where four measurements cost 27 µs
            self._told = in_hand
            metrics.IN_HAND.set(in_hand[0])
            metrics.IN_HAND_BYTES.set(in_hand[1])

    def held(self) -> Iterator[tuple[str, Held | None]]:
        """Yield each part and what holds it; None when nothing does."""
        for product, batcher in self._batchers.items():
            yield f"frames:{product}", batcher.held
        yield "evidence", self._postprocessor.held

    def _count(self, frames: int, size: int) -> None:
        with self._lock:
            self._frames += frames
            self._bytes += size
