"""Regularly send known anomalies and normals through the live model on Triton and judge its answers."""

import random
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, wait
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from steadyline.clock import Clock
from steadyline.contracts.model_event import PRODUCT_WIDE, Health, Model
from steadyline.errors import BankUnavailable, ContractBroken, InferenceUnavailable, PackageRejected
from steadyline.inference import Inference, ModelRef
from steadyline.line import WatchSection
from steadyline.telemetry.logs import get_logger
from trainer import metrics
from trainer.arrays import Pictures
from trainer.data.banks import HeldOutCache, HeldOutSet
from trainer.lifecycle import transitions
from trainer.lifecycle.product_state import ProductState
from trainer.lifecycle.rollout import Rollout
from trainer.monitor.bank_rebuild import BankRebuildProcess
from trainer.monitor.detection import DetectionMonitor, MonitorRound
from trainer.monitor.native_rounds import NativeRounds

log = get_logger(__name__)

BATCH = 16
LOOK_EVERY = timedelta(seconds=2)  # between two checks, outside of rounds, that the bank is still there
REBUILD_AGAIN = timedelta(seconds=30)  # after a failed rebuild, each of which takes a core for seconds
MEND_AFTER = 2  # rounds without an answer before the version is reloaded


@dataclass(frozen=True, slots=True)
class MonitorSample:
    """The frames of one round."""

    anomalies: Pictures
    transforms: tuple[str, ...]
    normals: Pictures


@dataclass(frozen=True, slots=True)
class MonitorInputs:
    """Where the monitor gets its frames from, and the model's answers, all within ``answer_within``."""

    banks: HeldOutCache
    drawn: NativeRounds
    triton: Inference
    answer_within: timedelta


class ModelMonitor:
    """Monitors the live model of one product."""

    def __init__(
        self,
        state: ProductState,
        settings: WatchSection,
        inputs: MonitorInputs,
        bank_rebuild: BankRebuildProcess,
        clock: Clock,
    ) -> None:
        self._state, self._settings, self._clock = state, settings, clock
        self._banks, self._triton, self._bank_rebuild = inputs.banks, inputs.triton, bank_rebuild
        self._drawn = inputs.drawn
        self._answer_within = inputs.answer_within.total_seconds()
        self._look_at = self._round_at = float("-inf")  # by the monotonic clock, which nobody sets back
        self._rounds = 0
        self._silent = 0
        self._detection: tuple[int, DetectionMonitor] | None = None

    def turn(self, rollout: Rollout) -> None:
        """Do a round when it is due. Raises Transient when Triton, Redis or the store is away."""
        live, now = self._state.event.live(), self._clock.monotonic()
        if live is None or now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY.total_seconds()
        known = self._known_frames(now)
        if known is None or now < self._round_at:
            return
        self._round_at = now + self._settings.every.total_seconds()
        sample = draw(known, self._settings.samples, random.Random(self._rounds))
        self._rounds += 1
        threshold = live.calibrations[PRODUCT_WIDE].threshold
        try:
            scores = self.scores_of(live, np.concatenate([sample.anomalies, sample.normals]))
            drawn = self._drawn.pictures(live, self._settings.samples)
            of_drawn = None if drawn is None else self.scores_of(live, drawn)
        except InferenceUnavailable as error:
            self._no_answer(rollout, error)
            raise
        except ContractBroken as error:
            self._report(live, MonitorRound({}, [], threshold), f"wrong_outputs: {error}")
            return
        self._silent = 0
        seen = to_round(scores, sample, threshold)
        sees_nothing = self._drawn.judge(live, of_drawn, self._state.event.health)
        self._report(live, seen, self._detection_of(live).judge(seen) or sees_nothing)

    def held_out(self) -> HeldOutSet:
        """Return the frames that rounds are drawn from.

        Raises BankUnavailable while the bank is being made again, PackageRejected when that cannot be done.
        """
        known = self._banks.held_out(self._known_banks())
        if known is None:
            raise BankUnavailable(f"the bank of {self._state.product} is not there, and is being made again")
        return known

    def scores_of(self, model: Model, pictures: Pictures) -> np.ndarray:
        """Return the scores (N,) that a version of the product gives pictures (N, S, S, C) on Triton.

        Raises InferenceUnavailable, also when the client has not kept its own deadline, or ContractBroken.
        """
        ref = ModelRef(self._state.product, model.version)
        parts = [pictures[start : start + BATCH] for start in range(0, len(pictures), BATCH)]
        waiting = [self._triton.infer(ref, part) for part in parts]
        finished, unanswered = wait(waiting, self._answer_within, FIRST_EXCEPTION)
        for future in finished:
            future.result()
        if unanswered:
            raise InferenceUnavailable(
                f"asking {ref.name} version {ref.version}: {len(unanswered)} of {len(waiting)} requests "
                f"got no answer within {self._answer_within:g} s"
            )
        return np.concatenate([future.result().scores for future in waiting])

    def stop(self) -> None:
        """Stop the process that makes the bank, if it runs."""
        self._bank_rebuild.stop()

    def _known_frames(self, now: float) -> HeldOutSet | None:
        """Return the frames to use, or None while a lost bank is made again or cannot be made."""
        try:
            known = self._banks.held_out(self._known_banks())
        except PackageRejected as error:
            log.error("watch_has_no_frames", product=self._state.product, error=str(error))
            metrics.WATCH_FAILURES.add(product=self._state.product, reason=error.reason)
            self._look_at = now + REBUILD_AGAIN.total_seconds()
            return None
        if known is None:
            self._remake_bank(now)
        elif self._bank_rebuild.is_started:
            metrics.BANK_REBUILDS.add(product=self._state.product)
            self._bank_rebuild.stop()
        return known

    def _known_banks(self) -> dict[str, str]:
        """Return the banks that were made here: those of the event's models, and those made again since."""
        return {**transitions.banks_of(self._state.event), **self._bank_rebuild.made}

    def _remake_bank(self, now: float) -> None:
        if not self._bank_rebuild.is_started:
            log.warning("bank_lost", product=self._state.product)
            self._bank_rebuild.start(self._known_banks())
        elif (status := self._bank_rebuild.poll()) is not None:
            log.error("bank_not_rebuilt", product=self._state.product, status=status)
            self._bank_rebuild.stop()
            self._look_at = now + REBUILD_AGAIN.total_seconds()

    def _detection_of(self, live: Model) -> DetectionMonitor:
        if self._detection is None or self._detection[0] != live.version:
            expected = live.figures.get("detection_rate", 1.0)
            self._detection = live.version, DetectionMonitor(expected, self._settings.floor)
        return self._detection[1]

    def _report(self, live: Model, seen: MonitorRound, reason: str | None) -> None:
        """Export a round; announce an event when the state changed. ``reason``: why the model is blind."""
        product = self._state.product
        for transform, rate in seen.detection().items():
            metrics.DETECTION.set(rate, product=product, transform=transform)
        metrics.FALSE_ALARMS.set(seen.false_alarm_rate(), product=product)
        metrics.SEES.set(int(reason is None), product=product)
        health = Health(
            at=self._clock.now(),
            version=live.version,
            state="seeing" if reason is None else "blind",
            reason=(reason or "known anomalies are found")[: transitions.MOST_REASON],
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
            self._state.announce(transitions.with_health(self._state.event, health))

    def _no_answer(self, rollout: Rollout, error: InferenceUnavailable) -> None:
        self._silent += 1
        metrics.WATCH_FAILURES.add(product=self._state.product, reason=error.reason)
        if self._silent >= MEND_AFTER:
            self._silent = 0
            rollout.mend()


def draw(known: HeldOutSet, count: int, chance: random.Random) -> MonitorSample:
    """Return ``count`` pseudo-anomalies, with all transforms equally frequent, and ``count`` normals."""
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
    return MonitorSample(
        known.anomalies[chosen], tuple(known.transforms[index] for index in chosen), known.normals[normals]
    )


def to_round(scores: np.ndarray, sample: MonitorSample, threshold: float) -> MonitorRound:
    """Return the round of scores; the pseudo-anomalies' scores come first, then the normals'."""
    anomalies: dict[str, list[float]] = {}
    for transform, score in zip(sample.transforms, scores, strict=False):
        anomalies.setdefault(transform, []).append(float(score))
    normals: Sequence[float] = [float(score) for score in scores[len(sample.transforms) :]]
    return MonitorRound(anomalies, normals, threshold)
