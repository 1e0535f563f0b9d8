"""The scorer's handler: frames in, promises of score messages out. Order and commits are the loop's."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from scorer import metrics
from scorer.batching import Answered, Batcher, Ways
from scorer.frame_task import Outputs, Work
from scorer.postprocess import Finisher
from scorer.preprocess import Preparer, read_frame
from steadyline.errors import Backpressure
from steadyline.kafka.broker import Partition, Record
from steadyline.line import Line
from steadyline.telemetry.tracing import start_span


@dataclass(frozen=True, slots=True)
class Room:
    """How much is in hand at most; one frame is always let in."""

    frames: int = 256
    bytes: int = 64 << 20


@dataclass(frozen=True, slots=True)
class Pools:
    """Threads that decode, and threads that finish: a full decoding queue must not delay what is scored."""

    decoding: ThreadPoolExecutor
    finishing: ThreadPoolExecutor

    @staticmethod
    def of(decoders: int) -> "Pools":
        """Return the pools; ``close`` ends them."""
        return Pools(ThreadPoolExecutor(decoders, "decode"), ThreadPoolExecutor(1, "finish"))

    def close(self) -> None:
        """Forget what is queued and end the threads."""
        self.decoding.shutdown(cancel_futures=True)
        self.finishing.shutdown(cancel_futures=True)


class Scoring:
    """See the loop's ``Handler``. ``tick`` must be called on every turn of the loop: it drives retries."""

    def __init__(self, line: Line, preparer: Preparer, finisher: Finisher, pools: Pools, room: Room) -> None:
        self._line, self._preparer, self._finisher = line, preparer, finisher
        self._pools, self._room = pools, room
        self._batchers: Mapping[str, Batcher] = {}
        self._lock = threading.Lock()
        self._frames = self._bytes = 0
        self._told = (-1, -1)

    def connect(self, make: Callable[[str, Ways], Batcher]) -> None:
        """Make a batcher for every product; done once, before the first ``submit``."""
        ways = Ways(self._answered, self._prepare)
        self._batchers = {product: make(product, ways) for product in self._line.products}

    def submit(self, record: Record) -> Future[Outputs]:
        """See ``Handler.submit``."""
        size = len(record.value or b"")
        with self._lock:
            full = self._frames >= self._room.frames or self._bytes + size > self._room.bytes
            if self._frames and full:
                raise Backpressure(f"{self._frames} frames, {self._bytes} bytes in hand")
        frame = read_frame(record, self._line)
        span = start_span(
            "score", parent=frame.traceparent, attributes={"frame": str(frame.id)}, kind="consumer"
        )
        work = Work(record, frame, span)
        self._count(1, size)
        work.result.add_done_callback(lambda _: self._count(-1, -size))
        self._prepare(work)
        return work.result

    def drop(self, partition: Partition) -> None:
        """See ``Handler.drop``; what is being worked on finishes and is thrown away."""
        for batcher in self._batchers.values():
            batcher.forget(partition)

    def tick(self) -> None:
        """Send and write again what was held back, when its time has come."""
        for batcher in self._batchers.values():
            batcher.pump()
        self._finisher.retry(self._pools.finishing.submit)
        in_hand = self._frames, self._bytes
        if in_hand != self._told:  # here and not for every frame: four measurements cost it 27 µs
            self._told = in_hand
            metrics.IN_HAND.set(in_hand[0])
            metrics.IN_HAND_BYTES.set(in_hand[1])

    def _prepare(self, work: Work) -> None:
        self._pools.decoding.submit(work.attempt, partial(self._prepared, work))

    def _prepared(self, work: Work) -> None:
        if work.is_wanted:
            self._preparer.prepare(work)
            self._batchers[work.frame.product].put(work)

    def _answered(self, answered: Answered) -> None:
        self._pools.finishing.submit(self._finisher.finish, answered)

    def _count(self, frames: int, size: int) -> None:
        with self._lock:
            self._frames += frames
            self._bytes += size
