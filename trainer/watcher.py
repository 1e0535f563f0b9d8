"""The watch at work: every so often, known anomalies and normals go through the live model on Triton."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from steadyline.clock import Clock
from steadyline.contracts.model_event import PRODUCT_WIDE, Health, Model
from steadyline.errors import InferenceUnavailable
from steadyline.inference import Inference, ModelRef
from steadyline.line import WatchSection
from steadyline.telemetry.logs import get_logger
from steadyline.telemetry.metrics import trainer as metrics
from trainer import history
from trainer.banks import KnownBanks, KnownFrames
from trainer.child import Rebuilding
from trainer.rollout import Rollout
from trainer.snapshot import Pictures
from trainer.state import ProductState
from trainer.watch import Round, Sight

log = get_logger(__name__)

BATCH = 16
LOOK_AGAIN = timedelta(seconds=1)  # while a lost bank is being made again
MEND_AFTER = 2  # rounds without an answer before the version is loaded again


@dataclass(frozen=True, slots=True)
class Sample:
    """The frames of one round."""

    anomalies: Pictures
    transforms: tuple[str, ...]
    normals: Pictures


@dataclass(frozen=True, slots=True)
class Eyes:
    """Where the watch gets its frames and its answers from."""

    banks: KnownBanks
    triton: Inference


class Watcher:
    """Watches one product's live model."""

    def __init__(
        self, state: ProductState, settings: WatchSection, eyes: Eyes, rebuilding: Rebuilding, clock: Clock
    ) -> None:
        self._state, self._settings, self._clock = state, settings, clock
        self._banks, self._triton, self._rebuilding = eyes.banks, eyes.triton, rebuilding
        self._next: datetime | None = None
        self._rounds = 0
        self._silent = 0
        self._sight: tuple[int, Sight] | None = None

    def turn(self, rollout: Rollout) -> None:
        """Do a round when it is due. Raises Transient when Triton, Redis or the store is away."""
        live, now = self._state.event.live(), self._clock.now()
        if live is None or (self._next is not None and now < self._next):
            return
        known = self._banks.held_out()
        if known is None:
            log.warning("bank_lost", product=self._state.product)
            self._rebuilding.turn()
            self._next = now + LOOK_AGAIN
            return
        self._rebuilding.stop()
        self._next = now + self._settings.every
        sample = draw(known, self._settings.samples, random.Random(self._rounds))
        self._rounds += 1
        try:
            scores = self._scores(live, np.concatenate([sample.anomalies, sample.normals]))
        except InferenceUnavailable as error:
            self._no_answer(rollout, error)
            raise
        self._silent = 0
        self._judge(live, to_round(scores, sample, live.calibrations[PRODUCT_WIDE].threshold))

    def stop(self) -> None:
        """Leave nothing running."""
        self._rebuilding.stop()

    def _scores(self, live: Model, pictures: Pictures) -> np.ndarray:
        ref = ModelRef(self._state.product, live.version)
        parts = [pictures[start : start + BATCH] for start in range(0, len(pictures), BATCH)]
        waiting = [self._triton.infer(ref, part) for part in parts]
        return np.concatenate([future.result().scores for future in waiting])

    def _judge(self, live: Model, seen: Round) -> None:
        if self._sight is None or self._sight[0] != live.version:
            expected = live.figures.get("detection_rate", 1.0)
            self._sight = live.version, Sight(expected, self._settings.floor)
        reason = self._sight[1].judge(seen)
        product = self._state.product
        for transform, rate in seen.detection().items():
            metrics.DETECTION.set(rate, product=product, transform=transform)
        metrics.FALSE_ALARMS.set(seen.false_alarm_rate(), product=product)
        metrics.SEES.set(int(reason is None), product=product)
        health = Health(
            at=self._clock.now(),
            version=live.version,
            state="seeing" if reason is None else "blind",
            reason=reason or "known anomalies are found",
            detection=seen.detection(),
            false_alarm_rate=seen.false_alarm_rate(),
        )
        before = self._state.event.health
        if before is None or (before.version, before.state) != (health.version, health.state):
            say = log.info if reason is None else log.error
            say(
                "watch_verdict",
                product=product,
                version=live.version,
                state=health.state,
                reason=health.reason,
            )
            self._state.announce(history.with_health(self._state.event, health))

    def _no_answer(self, rollout: Rollout, error: InferenceUnavailable) -> None:
        self._silent += 1
        metrics.WATCH_FAILURES.add(product=self._state.product, reason=error.reason)
        if self._silent >= MEND_AFTER:
            self._silent = 0
            rollout.mend()


def draw(known: KnownFrames, count: int, chance: random.Random) -> Sample:
    """Return ``count`` pseudo-anomalies, each transform as often as any other, and ``count`` normals."""
    by_transform: dict[str, list[int]] = {}
    for index, transform in enumerate(known.transforms):
        by_transform.setdefault(transform, []).append(index)
    for indices in by_transform.values():
        chance.shuffle(indices)
    turns = sorted(
        (turn, name, index) for name, row in by_transform.items() for turn, index in enumerate(row)
    )
    chosen = [index for _, _, index in turns[:count]]
    normals = chance.sample(range(len(known.normals)), min(count, len(known.normals)))
    return Sample(
        known.anomalies[chosen], tuple(known.transforms[index] for index in chosen), known.normals[normals]
    )


def to_round(scores: np.ndarray, sample: Sample, threshold: float) -> Round:
    """Return the round of scores in the order anomalies, normals."""
    anomalies: dict[str, list[float]] = {}
    for transform, score in zip(sample.transforms, scores, strict=False):
        anomalies.setdefault(transform, []).append(float(score))
    normals: Sequence[float] = [float(score) for score in scores[len(sample.transforms) :]]
    return Round(anomalies, normals, threshold)
