"""Batches per product: a lone frame is sent at once, and beside a request under way only a full batch is."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

from scorer import metrics
from scorer.frame_task import FrameTask
from scorer.model_slot import NO_LIVE_MODEL, ActiveModel, ModelSlot
from steadyline.backoff import Backoff, RetryTimer
from steadyline.clock import Clock
from steadyline.errors import ContractBroken, InferenceUnavailable
from steadyline.inference import Inference, Inferred
from steadyline.kafka.broker import Partition
from steadyline.telemetry.logs import get_logger
from steadyline.telemetry.tracing import ActiveSpan, start_span

log = get_logger(__name__)

COUNT_HELD_SECONDS = 1.0  # how often waiting for a model is counted as one hold


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """Limits of one product's requests, and the delays between attempts.

    At most ``in_flight`` requests of at most ``max_batch`` frames are under way.

    While a request is under way, another is sent full or not at all: with one instance of the model it would
    only wait, and batches of 8 instead of 3 save a fifth of Triton's CPU.
    """

    max_batch: int = 8
    in_flight: int = 2
    retry_seconds: float = 0.1
    retry_longest_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class InferredBatch:
    """A batch with its answer; ``model`` is the model that answered the whole batch."""

    tasks: Sequence[FrameTask]
    model: ActiveModel
    inferred: Inferred


class Batcher:
    """The queue of one product; it hands answered batches to ``postprocess``.

    Any thread may call it; no method waits.
    """

    def __init__(
        self,
        slot: ModelSlot,
        inference: Inference,
        postprocess: Callable[[InferredBatch], None],
        policy: BatchPolicy,
        clock: Clock,
    ) -> None:
        self._slot, self._inference, self._postprocess = slot, inference, postprocess
        self._policy, self._clock = policy, clock
        self._lock = threading.Lock()
        self._ready: deque[FrameTask] = deque()
        self._in_flight = 0
        backoff = Backoff.of_seconds(policy.retry_seconds, policy.retry_longest_seconds)
        self._retry = RetryTimer(backoff, clock)
        self._counted_held = float("-inf")

    def put(self, task: FrameTask) -> None:
        """Queue a prepared frame, and send when a slot is free."""
        with self._lock:
            self._ready.append(task)
        self.pump()

    def pump(self) -> None:
        """Send what may be sent; every answer and every turn of the loop call this again."""
        while True:
            with self._lock:
                model, batch, stale = self._take()
            for task in stale:
                task.preprocess(task)
            if model is None or not batch:
                return
            self._send(model, batch)

    def forget(self, partition: Partition) -> None:
        """Drop the queued frames of a partition that went to another worker."""
        with self._lock:
            self._ready = deque(task for task in self._ready if task.record.partition != partition)

    def _take(self) -> tuple[ActiveModel | None, list[FrameTask], list[FrameTask]]:
        """Return the model, its batch, and frames prepared for another input; the caller holds the lock."""
        limit = 1 if self._retry.is_failing else self._policy.in_flight
        fewest = self._policy.max_batch if self._in_flight else 1
        if len(self._ready) < fewest or self._in_flight >= limit or not self._retry.is_due:
            return None, [], []
        model = self._slot.current  # read once: the whole batch is asked of this version
        if model is None:
            self._count_held()
            return None, [], []
        batch: list[FrameTask] = []
        stale: list[FrameTask] = []
        while self._ready and len(batch) < self._policy.max_batch:
            task = self._ready.popleft()
            if task.is_wanted:
                (batch if task.input == model.input else stale).append(task)
        self._in_flight += bool(batch)
        return model, batch, stale

    def _send(self, model: ActiveModel, batch: list[FrameTask]) -> None:
        span = start_span(
            "infer",
            links=[task.span.traceparent for task in batch],
            attributes={"product": model.ref.name, "version": model.ref.version, "frames": len(batch)},
        )
        pictures = np.stack([task.prepared for task in batch if task.prepared is not None])
        began = self._clock.monotonic()
        metrics.BATCH.record(len(batch), product=model.ref.name)
        future = self._inference.infer(model.ref, pictures, span.traceparent)

        def done(answer: Future[Inferred]) -> None:
            metrics.STAGE_SECONDS.record(self._clock.monotonic() - began, stage="infer")
            self._done(model, batch, answer, span)

        future.add_done_callback(done)

    def _done(
        self, model: ActiveModel, batch: list[FrameTask], answer: Future[Inferred], span: ActiveSpan
    ) -> None:
        """Take an answer on the client's thread: send the next batch, and hand the answered one on."""
        error = answer.exception()
        if error is None:
            with self._lock:
                self._in_flight -= 1
                was_held = self._retry.succeeded()
            if was_held:
                log.info("inference_back", product=model.ref.name, version=model.ref.version)
        elif isinstance(error, InferenceUnavailable | ContractBroken):
            span.fail(error.reason)
            self._hold(model, batch, error)
        else:
            for task in batch:
                task.fail(error)
        span.end()
        self.pump()
        if error is None:
            self._postprocess(InferredBatch(batch, model, answer.result()))

    def _hold(
        self, model: ActiveModel, batch: list[FrameTask], error: InferenceUnavailable | ContractBroken
    ) -> None:
        """Put a batch back at the front of the queue and delay the next attempt; there is no delay when
        another version is in use by now.
        """
        metrics.INFERENCE_FAILURES.add(1, product=model.ref.name, reason=error.reason)
        metrics.HELD.add(1, product=model.ref.name, reason=error.reason)
        with self._lock:
            self._in_flight -= 1
            self._ready.extendleft(reversed(batch))
            current = self._slot.current
            if current is not None and current.ref != model.ref:
                is_first = not self._retry.is_failing
                self._retry.try_now()
            else:
                is_first = self._retry.failed()
        if is_first:
            log.warning("inference_held", product=model.ref.name, reason=error.reason, error=str(error))

    def _count_held(self) -> None:
        now = self._clock.monotonic()
        if now - self._counted_held >= COUNT_HELD_SECONDS:
            self._counted_held = now
            metrics.HELD.add(1, product=self._slot.product, reason=self._slot.held_reason or NO_LIVE_MODEL)
