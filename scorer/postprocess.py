"""Turns an answered batch into score messages: it judges frames, keeps evidence and writes the messages."""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial

from scorer import metrics
from scorer.batching import InferredBatch
from scorer.evidence import NOTHING, Evidence, EvidenceWriter, is_kept
from scorer.frame_task import FrameTask
from scorer.model_slot import ActiveModel
from scorer.scoring import (
    FrameCertificate,
    Judgement,
    MapReading,
    certify,
    is_on_map_of,
    louder,
    read_map,
    score_frame,
)
from steadyline.backoff import Backoff, RetryTimer
from steadyline.clock import Clock
from steadyline.contracts.model_event import PRODUCT_WIDE, calibration_of
from steadyline.contracts.score import Score
from steadyline.correction import tables_of
from steadyline.errors import StoreUnavailable
from steadyline.inference import Floats
from steadyline.kafka.broker import Message
from steadyline.map_png import encode_map
from steadyline.picture import PictureInfo
from steadyline.score_scale import ScoreScale
from steadyline.station import correction_of
from steadyline.telemetry.holds import Held
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FrameAnswer:
    """What the model answers of one frame; ``certified_score`` is None where it has no certified part, and
    ``halves`` (2,) where it has none.
    """

    score: float
    anomaly_map: Floats
    certified_score: float | None
    halves: Floats | None


@dataclass(frozen=True, slots=True)
class ScoredFrame:
    """A frame with its judgement; only its evidence and its message are still to be written."""

    task: FrameTask
    model: ActiveModel
    judgement: Judgement
    anomaly_map: Floats
    certificate: FrameCertificate | None
    on_map: MapReading | None
    spoke: str | None

    @property
    def calibrated(self) -> float:
        """The score on the one scale of its model."""
        product = self.model.model.calibrations[PRODUCT_WIDE]
        return ScoreScale.of(product.scores, self.judgement.threshold).calibrated(self.judgement.score)

    def map_png(self) -> bytes:
        """Return the map as it is kept."""
        return encode_map(self.anomaly_map, None if self.on_map is None else self.on_map.scale)


@dataclass(frozen=True, slots=True)
class KeptFrame:
    """A scored frame whose evidence is to be kept; ``finish`` is told where it lies then."""

    scored: ScoredFrame
    info: PictureInfo
    finish: Callable[[Evidence], None]


@dataclass(frozen=True, slots=True)
class ScoreSink:
    """Where scores go, and the fraction of each product's normal frames whose evidence is kept."""

    line: str
    topic: str
    samples: Mapping[str, float]


class EvidenceQueue:
    """Keeps evidence on ``pool`` and then calls ``finish``; what the store refuses waits for ``retry``.

    While the store fails one frame at a time tries it, so that a store that hangs holds up one thread.
    """

    def __init__(self, writer: EvidenceWriter, backoff: Backoff, clock: Clock, pool: Executor) -> None:
        self._writer, self._pool = writer, pool
        self._lock = threading.Lock()
        self._retry = RetryTimer(backoff, clock)
        self._waiting: deque[KeptFrame] = deque()
        self._is_trying = False
        self._error: StoreUnavailable | None = None

    @property
    def held(self) -> Held | None:
        """Why frames wait for the store; None while they do not."""
        error = self._error
        return Held(error.reason, str(error)) if self._retry.is_failing and error is not None else None

    def put(self, kept: KeptFrame) -> None:
        """Queue a frame whose evidence is to be kept."""
        with self._lock:
            if self._retry.is_failing:
                self._waiting.append(kept)
                return
        self._pool.submit(kept.scored.task.attempt, partial(self._keep, kept))

    def retry(self) -> None:
        """Let the first frame that waits try the store again when that is due; the rest follow a success."""
        with self._lock:
            if self._is_trying or not self._waiting or not self._retry.is_due:
                return
            self._is_trying = True
            first = self._waiting.popleft()
        self._pool.submit(self._try_again, first)

    def _keep(self, kept: KeptFrame) -> None:
        with self._lock:
            if self._retry.is_failing:
                self._waiting.append(kept)
                return
        self._write(kept)

    def _try_again(self, kept: KeptFrame) -> None:
        if kept.scored.task.is_wanted:
            kept.scored.task.attempt(partial(self._write, kept))
        with self._lock:
            self._is_trying = False
            if self._retry.is_failing:
                return
            released, self._waiting = self._waiting, deque()
        for each in released:
            self.put(each)

    def _write(self, kept: KeptFrame) -> None:
        scored = kept.scored
        product = scored.task.frame.product
        try:
            evidence = self._writer.write(product, scored.task.record, kept.info, scored.map_png())
        except StoreUnavailable as error:
            self._hold(kept, product, error)
            return
        with self._lock:
            was_away = self._retry.succeeded()
        if was_away:
            log.info("store_back")
        kept.finish(evidence)

    def _hold(self, kept: KeptFrame, product: str, error: StoreUnavailable) -> None:
        metrics.HELD.add(1, product=product, reason=error.reason)
        with self._lock:
            self._waiting.appendleft(kept)
            self._error = error
            is_first = self._retry.failed()
        if is_first:
            log.warning("evidence_held", reason=error.reason, error=str(error))


class Postprocessor:
    """Judges frames on ``pool``, and writes their messages there or, for those with evidence, after it."""

    def __init__(self, sink: ScoreSink, evidence: EvidenceQueue, clock: Clock, pool: Executor) -> None:
        self._sink, self._evidence, self._clock, self._pool = sink, evidence, clock, pool

    def put(self, inferred_batch: InferredBatch) -> None:
        """Queue a batch to be finished."""
        self._pool.submit(self.finish, inferred_batch)

    def finish(self, inferred_batch: InferredBatch) -> None:
        """Judge every frame of a batch and keep its promise, or queue it to keep its evidence first."""
        began = self._clock.monotonic()
        inferred, tasks = inferred_batch.inferred, inferred_batch.tasks
        certified = [None] * len(tasks) if inferred.certified_scores is None else inferred.certified_scores
        halves = [None] * len(tasks) if inferred.halves is None else inferred.halves
        for task, score, anomaly_map, proven, both in zip(
            tasks, inferred.scores, inferred.maps, certified, halves, strict=True
        ):
            answer = FrameAnswer(float(score), anomaly_map, None if proven is None else float(proven), both)
            task.attempt(partial(self._judge, task, inferred_batch.model, answer))
        metrics.STAGE_SECONDS.record(self._clock.monotonic() - began, stage="finish")

    @property
    def held(self) -> Held | None:
        """Why frames wait for their evidence; None while they do not."""
        return self._evidence.held

    def retry(self) -> None:
        """Try the store again when that is due."""
        self._evidence.retry()

    def _judge(self, task: FrameTask, model: ActiveModel, answer: FrameAnswer) -> None:
        if not task.is_wanted:
            task.finish(())
            return
        camera = task.frame.id.camera
        calibration = calibration_of(camera, model.model.calibrations)
        shift = 0.0 if task.station is None else task.station.threshold_shift
        judgement, certificate = score_frame(answer.score, answer.anomaly_map, calibration, shift), None
        product, on_map = model.model.calibrations[PRODUCT_WIDE], None
        if not model.is_pair:
            on_map = read_map(answer.anomaly_map, answer.score, judgement.threshold, product)
        if answer.certified_score is not None:
            own = calibration_of(camera, model.model.certified_calibrations)
            # On another scale than the score's there is no shift: its verdict is that of the product's light.
            own_shift = shift if own.scores == calibration.scores else 0.0
            certificate = in_front_of_station(certify(answer.certified_score, own, own_shift), task)
            if model.is_pair and is_on_map_of(answer.certified_score, judgement.peak):
                product = model.model.certified_calibrations[PRODUCT_WIDE]
                threshold = own.threshold + own_shift
                on_map = read_map(answer.anomaly_map, answer.certified_score, threshold, product)
        spoke = None if answer.halves is None else louder(answer.halves, model.model.halves)
        scored = ScoredFrame(task, model, judgement, answer.anomaly_map, certificate, on_map, spoke)
        sample = self._sink.samples[task.frame.product]
        if task.info is not None and is_kept(scored.judgement.verdict, task.record, sample):
            self._evidence.put(KeptFrame(scored, task.info, partial(self._complete, scored)))
        else:
            self._complete(scored, NOTHING)

    def _complete(self, scored: ScoredFrame, evidence: Evidence) -> None:
        """Keep the promise; the evidence is written by now, so that no score points to what is missing."""
        scored.task.finish([self._message(scored, evidence)])

    def _message(self, scored: ScoredFrame, evidence: Evidence) -> Message:
        task, judgement, certificate = scored.task, scored.judgement, scored.certificate
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
            certified_verdict=None if certificate is None else certificate.verdict,
            certified_margin=None if certificate is None else certificate.margin,
            part=frame.part,
            area=None if scored.on_map is None else scored.on_map.area,
            spoke=scored.spoke,
            calibrated=scored.calibrated,
        )
        metrics.SCORED.add(1, product=frame.product, verdict=judgement.verdict)
        metrics.CAPTURE_TO_SCORE.record(
            max(0.0, (now - frame.captured_at).total_seconds()), product=frame.product
        )
        task.span.set(verdict=judgement.verdict, version=scored.model.ref.version, score=judgement.score)
        headers = score.headers(self._sink.line, frame.id.camera, now, task.span.traceparent)
        partition = task.record.partition.number
        return Message(self._sink.topic, frame.key, score.encode(), headers, partition)


def in_front_of_station(certificate: FrameCertificate, task: FrameTask) -> FrameCertificate:
    """Return what a certificate of the model's input says of the frame, which a correction may have
    brightened.
    """
    if task.station is None or task.prepared is None:
        return certificate
    height, width, channels = task.prepared.shape
    tables = tables_of(correction_of(task.station), (height, width, channels))
    return replace(certificate, margin=tables.native_margin(certificate.margin))
