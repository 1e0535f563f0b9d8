"""Turns an answered batch into score messages: it judges frames, keeps evidence and writes the messages."""

import threading
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

from scorer import metrics
from scorer.batching import InferredBatch
from scorer.evidence import NOTHING, Evidence, is_kept, keep_evidence
from scorer.frame_task import FrameTask
from scorer.model_slot import ActiveModel
from scorer.scoring import Judgement, calibration_of, score_frame
from steadyline.backoff import Backoff, RetryTimer
from steadyline.clock import Clock
from steadyline.contracts.score import Score
from steadyline.errors import StoreUnavailable
from steadyline.inference import Floats
from steadyline.kafka.broker import Message
from steadyline.store import Store
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ScoredFrame:
    """A frame with its judgement; only its evidence and its message are still to be written."""

    task: FrameTask
    model: ActiveModel
    judgement: Judgement
    anomaly_map: Floats


@dataclass(frozen=True, slots=True)
class ScoreSink:
    """Where scores go, and the fraction of each product's normal frames whose evidence is kept."""

    line: str
    topic: str
    samples: Mapping[str, float]


class Postprocessor:
    """Finishes frames on ``pool``; those the store refuses wait here until ``retry`` tries them again."""

    def __init__(self, sink: ScoreSink, store: Store, backoff: Backoff, clock: Clock, pool: Executor) -> None:
        self._sink, self._store, self._clock, self._pool = sink, store, clock, pool
        self._lock = threading.Lock()
        self._retry = RetryTimer(backoff, clock)
        self._waiting: list[ScoredFrame] = []

    def put(self, inferred_batch: InferredBatch) -> None:
        """Queue a batch to be finished."""
        self._pool.submit(self.finish, inferred_batch)

    def finish(self, inferred_batch: InferredBatch) -> None:
        """Judge every frame of a batch and keep its promise."""
        began = self._clock.monotonic()
        inferred = inferred_batch.inferred
        for task, score, anomaly_map in zip(
            inferred_batch.tasks, inferred.scores, inferred.maps, strict=True
        ):
            task.attempt(partial(self._judge, task, inferred_batch.model, float(score), anomaly_map))
        metrics.STAGE_SECONDS.record(self._clock.monotonic() - began, stage="finish")

    def retry(self) -> None:
        """Queue the frames again that the store refused and that are due."""
        with self._lock:
            if not self._waiting or not self._retry.is_due:
                return
            waiting, self._waiting = self._waiting, []
        self._pool.submit(self._again, waiting)

    def _again(self, waiting: list[ScoredFrame]) -> None:
        for scored in waiting:
            if scored.task.is_wanted:
                scored.task.attempt(partial(self._complete, scored))

    def _judge(self, task: FrameTask, model: ActiveModel, score: float, anomaly_map: Floats) -> None:
        if not task.is_wanted:
            task.finish(())
            return
        calibration = calibration_of(task.frame.id.camera, model.model.calibrations)
        self._complete(ScoredFrame(task, model, score_frame(score, anomaly_map, calibration), anomaly_map))

    def _complete(self, scored: ScoredFrame) -> None:
        """Write the evidence first and then the message, so that a score never points to missing evidence."""
        try:
            evidence = self._evidence(scored)
        except StoreUnavailable as error:
            self._hold(scored, error)
        else:
            scored.task.finish([self._message(scored, evidence)])

    def _evidence(self, scored: ScoredFrame) -> Evidence:
        frame, info = scored.task.frame, scored.task.info
        sample = self._sink.samples[frame.product]
        if info is None or not is_kept(scored.judgement.verdict, str(frame.id), sample):
            return NOTHING
        kept = keep_evidence(self._store, frame.product, scored.task.record, info, scored.anomaly_map)
        with self._lock:
            was_away = self._retry.succeeded()
        if was_away:
            log.info("store_back")
        return kept

    def _message(self, scored: ScoredFrame, evidence: Evidence) -> Message:
        task, judgement = scored.task, scored.judgement
        frame, now = task.frame, self._clock.now()
        score = Score(
            frame=str(frame.id),
            camera=frame.id.camera,
            product=frame.product,
            captured_at=frame.captured_at,
            scored_at=now,
            model_version=scored.model.ref.version,
            score=judgement.score,
            p_value=judgement.p_value,
            threshold=judgement.threshold,
            threshold_version=scored.model.model.threshold_version,
            verdict=judgement.verdict,
            peak=judgement.peak,
            source_partition=task.record.partition.number,
            source_offset=task.record.offset,
            picture_uri=evidence.picture_uri,
            map_uri=evidence.map_uri,
            picture_sha256=evidence.picture_sha256,
        )
        metrics.SCORED.add(1, product=frame.product, verdict=judgement.verdict)
        metrics.CAPTURE_TO_SCORE.record(
            max(0.0, (now - frame.captured_at).total_seconds()), product=frame.product
        )
        task.span.set(verdict=judgement.verdict, version=scored.model.ref.version, score=judgement.score)
        headers = score.headers(self._sink.line, frame.id.camera, now, task.span.traceparent)
        partition = task.record.partition.number
        return Message(self._sink.topic, task.record.key, score.encode(), headers, partition)

    def _hold(self, scored: ScoredFrame, error: StoreUnavailable) -> None:
        metrics.HELD.add(1, product=scored.task.frame.product, reason=error.reason)
        with self._lock:
            self._waiting.append(scored)
            is_first = self._retry.failed()
        if is_first:
            log.warning("evidence_held", reason=error.reason, error=str(error))
