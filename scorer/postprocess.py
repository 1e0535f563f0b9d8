"""From an answered batch to score messages: judge, keep evidence, write the message."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from scorer import metrics
from scorer.batching import Answered
from scorer.evidence import NOTHING, Evidence, is_kept, keep_evidence
from scorer.frame_task import Work
from scorer.model_slot import InUse
from scorer.scoring import Judgement, calibration_of, score_frame
from steadyline.backoff import Backoff
from steadyline.clock import Clock
from steadyline.contracts.score import Score
from steadyline.errors import StoreUnavailable
from steadyline.inference import Floats
from steadyline.kafka.broker import Message
from steadyline.store import Store
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Judged:
    """A frame with its judgement; all that is left is to keep its evidence and to say so."""

    work: Work
    model: InUse
    judgement: Judgement
    heat: Floats


@dataclass(frozen=True, slots=True)
class Addressed:
    """Where scores go, and which fraction of each product's normal frames leaves evidence."""

    line: str
    topic: str
    samples: Mapping[str, float]


class Finisher:
    """Finishes frames; what the store refuses waits here and is tried again by ``retry``."""

    def __init__(self, addressed: Addressed, store: Store, backoff: Backoff, clock: Clock) -> None:
        self._addressed, self._store, self._clock = addressed, store, clock
        self._lock = threading.Lock()
        self._backoff = backoff
        self._waiting: list[Judged] = []
        self._not_before = float("-inf")

    def finish(self, answered: Answered) -> None:
        """Judge every frame of a batch and keep its promise."""
        began = self._clock.monotonic()
        inferred = answered.inferred
        for work, score, heat in zip(answered.works, inferred.scores, inferred.maps, strict=True):
            work.attempt(partial(self._judge, work, answered.model, float(score), heat))
        metrics.STAGE_SECONDS.record(self._clock.monotonic() - began, stage="finish")

    def retry(self, run: Callable[[Callable[[], None]], object]) -> None:
        """Try again, through ``run``, what the store refused, when its time has come."""
        with self._lock:
            if not self._waiting or self._clock.monotonic() < self._not_before:
                return
            waiting, self._waiting = self._waiting, []
        run(partial(self._again, waiting))

    def _again(self, waiting: list[Judged]) -> None:
        for judged in waiting:
            if judged.work.is_wanted:
                judged.work.attempt(partial(self._complete, judged))

    def _judge(self, work: Work, model: InUse, score: float, heat: Floats) -> None:
        if not work.is_wanted:
            work.finish(())
            return
        calibration = calibration_of(work.frame.id.camera, model.model.calibrations)
        self._complete(Judged(work, model, score_frame(score, heat, calibration), heat))

    def _complete(self, judged: Judged) -> None:
        """Write the evidence, then the message: a score never points to what is not there."""
        try:
            evidence = self._evidence(judged)
        except StoreUnavailable as error:
            self._hold(judged, error)
        else:
            judged.work.finish([self._message(judged, evidence)])

    def _evidence(self, judged: Judged) -> Evidence:
        frame, info = judged.work.frame, judged.work.info
        sample = self._addressed.samples[frame.product]
        if info is None or not is_kept(judged.judgement.verdict, str(frame.id), sample):
            return NOTHING
        kept = keep_evidence(self._store, frame.product, judged.work.record, info, judged.heat)
        with self._lock:
            was_away = self._backoff.failures > 0
            self._backoff.reset()
        if was_away:
            log.info("store_back")
        return kept

    def _message(self, judged: Judged, evidence: Evidence) -> Message:
        work, judgement = judged.work, judged.judgement
        frame, now = work.frame, self._clock.now()
        score = Score(
            frame=str(frame.id),
            camera=frame.id.camera,
            product=frame.product,
            captured_at=frame.captured_at,
            scored_at=now,
            model_version=judged.model.ref.version,
            score=judgement.score,
            p_value=judgement.p_value,
            threshold=judgement.threshold,
            threshold_version=judged.model.model.threshold_version,
            verdict=judgement.verdict,
            peak=judgement.peak,
            source_partition=work.record.partition.number,
            source_offset=work.record.offset,
            picture_uri=evidence.picture_uri,
            map_uri=evidence.map_uri,
            picture_sha256=evidence.picture_sha256,
        )
        metrics.SCORED.add(1, product=frame.product, verdict=judgement.verdict)
        metrics.CAPTURE_TO_SCORE.record(
            max(0.0, (now - frame.captured_at).total_seconds()), product=frame.product
        )
        work.span.set(verdict=judgement.verdict, version=judged.model.ref.version, score=judgement.score)
        headers = score.headers(self._addressed.line, frame.id.camera, now, work.span.traceparent)
        partition = work.record.partition.number
        return Message(self._addressed.topic, work.record.key, score.encode(), headers, partition)

    def _hold(self, judged: Judged, error: StoreUnavailable) -> None:
        metrics.HELD.add(1, product=judged.work.frame.product, reason=error.reason)
        with self._lock:
            is_first = self._backoff.failures == 0
            self._waiting.append(judged)
            now = self._clock.monotonic()
            if now >= self._not_before:
                self._not_before = now + self._backoff.next().total_seconds()
        if is_first:
            log.warning("evidence_held", reason=error.reason, error=str(error))
