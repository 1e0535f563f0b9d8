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
from steadyline.errors import ContractBroken, InferenceUnavailable, UnscorableFrame
from steadyline.inference import Inference, Inferred, Pixels
from steadyline.kafka.broker import Partition
from steadyline.probe import check_answers, probe_pictures
from steadyline.telemetry.holds import Held
from steadyline.telemetry.logs import get_logger
from steadyline.telemetry.tracing import ActiveSpan, start_span

log = get_logger(__name__)

COUNT_HELD_SECONDS = 1.0  # how often waiting for a model is counted as one hold
REFUSALS = 3  # of one frame alone, before it is held against the model's known answers


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """Limits of one product's requests, and the delays between attempts.

    At most ``in_flight`` requests of at most ``max_batch`` frames, fewer of a large grid, are under way. One
    that is not answered within ``answer_seconds``, because the client has not kept its own deadline, is given
    up.

    While a request is under way, another is sent full or not at all: with one instance of the model it would
    only wait, and batches of 8 instead of 3 save a fifth of Triton's CPU.
    """

    max_batch: int = 8
    in_flight: int = 2
    retry_seconds: float = 0.1
    retry_longest_seconds: float = 5.0
    answer_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class InferredBatch:
    """A batch with its answer; ``model`` is the model that answered the whole batch."""

    tasks: Sequence[FrameTask]
    model: ActiveModel
    inferred: Inferred


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    """A request under way, and what is done with its answer."""

    sent_at: float
    done: Callable[[Future[Inferred]], None]


class Batcher:
    """The queue of one product; it hands answered batches to ``postprocess``.

    A batch that the model refuses as such (a model takes fewer frames at once than ``max_batch``) is halved,
    down to single frames, for as long as that version is in use. A frame that is refused alone is poison only
    when the model gives its known answers beside it; otherwise the model is at fault and the frame is held.

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
        self._under_way: set[_Request] = set()
        self._in_flight = 0
        self._largest: tuple[ActiveModel | None, int] | None = None  # what a version was found to take
        backoff = Backoff.of_seconds(policy.retry_seconds, policy.retry_longest_seconds)
        self._retry = RetryTimer(backoff, clock)
        self._error: InferenceUnavailable | ContractBroken | None = None
        self._counted_held = float("-inf")

    @property
    def held(self) -> Held | None:
        """Why frames wait; None while they do not."""
        error = self._error
        if self._retry.is_failing and error is not None:
            return Held(error.reason, str(error))
        if self._ready and self._slot.current is None:
            return Held(self._slot.held_reason or NO_LIVE_MODEL)
        return None

    def put(self, task: FrameTask) -> None:
        """Queue a prepared frame, and send when a slot is free."""
        with self._lock:
            self._ready.append(task)
        self.pump()

    def pump(self) -> None:
        """Send what may be sent; every answer and every turn of the loop call this again."""
        self._give_up_overdue()
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
        """Return the model, its batch, and frames prepared otherwise than it takes them; the caller holds the
        lock.
        """
        model = self._slot.current  # read once: the whole batch is asked of this version
        largest = self._most(model)
        limit = 1 if self._retry.is_failing else self._policy.in_flight
        fewest = largest if self._in_flight else 1
        if len(self._ready) < fewest or self._in_flight >= limit or not self._retry.is_due:
            return None, [], []
        if model is None:
            self._count_held()
            return None, [], []
        batch: list[FrameTask] = []
        stale: list[FrameTask] = []
        while self._ready and len(batch) < largest:
            task = self._ready.popleft()
            if task.is_wanted:
                is_ready = task.input == model.input and task.station == model.station_of(
                    task.frame.id.camera
                )
                (batch if is_ready else stale).append(task)
        self._in_flight += bool(batch)
        return model, batch, stale

    def _most(self, model: ActiveModel | None) -> int:
        """Return how many frames a request may have; the caller holds the lock."""
        if self._largest is not None and self._largest[0] is model:
            return self._largest[1]
        most = self._policy.max_batch
        return most if model is None else model.model.grid.batch(most)

    def _send(self, model: ActiveModel, batch: list[FrameTask]) -> None:
        span = start_span(
            "infer",
            links=[task.span.traceparent for task in batch],
            attributes={"product": model.ref.name, "version": model.ref.version, "frames": len(batch)},
        )
        pictures = np.stack([task.prepared for task in batch if task.prepared is not None])
        began = self._clock.monotonic()
        metrics.BATCH.record(len(batch), product=model.ref.name)

        def done(answer: Future[Inferred]) -> None:
            metrics.STAGE_SECONDS.record(self._clock.monotonic() - began, stage="infer")
            self._done(model, batch, answer, span)

        self._ask(model, pictures, done, span.traceparent)

    def _ask(
        self,
        model: ActiveModel,
        pictures: Pixels,
        done: Callable[[Future[Inferred]], None],
        traceparent: str | None = None,
    ) -> None:
        """Send a request; ``done`` is called once, with its answer or when it has been given up."""
        request = _Request(self._clock.monotonic(), done)
        with self._lock:
            self._under_way.add(request)
        future = self._inference.infer(model.ref, pictures, traceparent)
        future.add_done_callback(lambda answer: self._answered(request, answer))

    def _answered(self, request: _Request, answer: Future[Inferred]) -> None:
        with self._lock:
            if request not in self._under_way:
                return  # it was given up
            self._under_way.discard(request)
        request.done(answer)

    def _give_up_overdue(self) -> None:
        oldest = self._clock.monotonic() - self._policy.answer_seconds
        with self._lock:
            overdue = [request for request in self._under_way if request.sent_at < oldest]
        for request in overdue:
            nothing: Future[Inferred] = Future()
            nothing.set_exception(
                InferenceUnavailable(
                    f"a request of {self._slot.product} is given up: no answer within "
                    f"{self._policy.answer_seconds:g} s"
                )
            )
            self._answered(request, nothing)

    def _done(
        self, model: ActiveModel, batch: list[FrameTask], answer: Future[Inferred], span: ActiveSpan
    ) -> None:
        """Take an answer on the client's thread: send the next batch, and hand the answered one on."""
        error = answer.exception()
        if error is None:
            self._succeeded(model)
        elif isinstance(error, InferenceUnavailable | ContractBroken):
            span.fail(error.reason)
            metrics.INFERENCE_FAILURES.add(1, product=model.ref.name, reason=error.reason)
            self._failed(model, batch, error)
        else:
            for task in batch:
                task.fail(error)
        span.end()
        self.pump()
        if error is None:
            self._postprocess(InferredBatch(batch, model, answer.result()))

    def _succeeded(self, model: ActiveModel) -> None:
        with self._lock:
            self._in_flight -= 1
            was_held = self._retry.succeeded()
        if was_held:
            log.info("inference_back", product=model.ref.name, version=model.ref.version)

    def _failed(
        self, model: ActiveModel, batch: list[FrameTask], error: InferenceUnavailable | ContractBroken
    ) -> None:
        if isinstance(error, ContractBroken) and len(batch) > 1:
            self._halve(model, batch, error)
            return
        if isinstance(error, ContractBroken):
            batch[0].refusals += 1
            if batch[0].refusals >= REFUSALS:
                self._judge(model, batch[0], error)
                return
        self._hold(model, batch, error)

    def _halve(self, model: ActiveModel, batch: list[FrameTask], error: ContractBroken) -> None:
        """Ask again at once for half as many frames, and for no more than that of this version."""
        half = len(batch) // 2
        with self._lock:
            self._in_flight -= 1
            self._ready.extendleft(reversed(batch))
            is_new = half < self._most(model)
            if is_new:
                self._largest = model, half
        if is_new:
            log.warning(
                "batch_halved",
                product=model.ref.name,
                version=model.ref.version,
                frames=half,
                error=str(error),
            )

    def _judge(self, model: ActiveModel, task: FrameTask, error: ContractBroken) -> None:
        """Ask a model that refuses one frame for a known answer: the frame is poison if it gives that."""

        def done(answer: Future[Inferred]) -> None:
            try:
                check_answers(model.ref.name, model.model, answer.result())
            except (ContractBroken, InferenceUnavailable) as failure:
                self._hold(model, [task], failure)
            except Exception as bug:  # only the promise leads to the loop
                task.fail(bug)
            else:
                self._largest = None  # it may have been this frame that was too much
                self._succeeded(model)
                task.fail(UnscorableFrame(f"the model refuses this frame alone, {REFUSALS} times: {error}"))
            self.pump()

        try:
            known = probe_pictures(model.model)[:1]
        except ContractBroken as failure:
            self._hold(model, [task], failure)
            return
        self._ask(model, known, done)

    def _hold(
        self, model: ActiveModel, batch: list[FrameTask], error: InferenceUnavailable | ContractBroken
    ) -> None:
        """Put a batch back at the front of the queue and delay the next attempt; there is no delay when
        another version is in use by now.
        """
        metrics.HELD.add(1, product=model.ref.name, reason=error.reason)
        with self._lock:
            self._in_flight -= 1
            self._ready.extendleft(reversed(batch))
            self._error = error
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
