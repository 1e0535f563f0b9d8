"""Keeps the model slots up to date: it follows the model events, probes before a swap and asks the canary."""

import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta

from scorer import metrics
from scorer.model_slot import NO_LIVE_MODEL, ModelSlot, Slots
from steadyline.backoff import Backoff, RetryTimer
from steadyline.clock import Clock
from steadyline.contracts.model_event import Model, ModelEvent
from steadyline.errors import ContractBroken, InferenceUnavailable, PoisonMessage
from steadyline.inference import Inference
from steadyline.kafka.broker import Follower, Record
from steadyline.kafka.messages import MessageFollower, Subscription
from steadyline.kafka.model_events import EventSeal, NewestEvents
from steadyline.parity import check_parity
from steadyline.probe import WITHIN, probe
from steadyline.telemetry.health import ServiceHealth
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

FOLLOW = timedelta(milliseconds=100)
WRONG_ANSWER = "wrong_answer"
MODEL_UPDATER = "model-updater"  # the name of its task
BEAT_WITHIN = 2 * WITHIN  # one product is probed at most twice in a turn
READING_HISTORY = "reading_model_events"  # why a product is not ready right after a start


@dataclass(frozen=True, slots=True)
class ModelUpdaterPolicy:
    """How often the canary is asked, and the delays between attempts to bring a version in."""

    canary_seconds: float = 5.0
    retry_seconds: float = 0.2
    retry_longest_seconds: float = 5.0


@dataclass(slots=True)
class ProductModel:
    """What the updater knows of one product's models."""

    slot: ModelSlot
    retry: RetryTimer
    wanted: Model | None = None
    canary_at: float = float("-inf")
    refused: tuple[int, str] = (0, "")


class ModelUpdater:
    """Keeps the slots of all products up to date.

    It is used from one thread, which calls ``run`` or calls ``turn`` again and again.
    """

    def __init__(
        self,
        slots: Slots,
        inference: Inference,
        policy: ModelUpdaterPolicy,
        health: ServiceHealth,
        clock: Clock,
    ) -> None:
        self._inference, self._policy, self._health, self._clock = inference, policy, health, clock
        self._has_history = False
        self._product_models: Mapping[str, ProductModel] = {
            name: ProductModel(slot, self._retry_timer()) for name, slot in slots.items()
        }
        for product_model in self._product_models.values():
            self._report(product_model, READING_HISTORY)

    def run(
        self, open_follower: Callable[[], Follower], topic: str, seal: EventSeal, stop: threading.Event
    ) -> None:
        """Follow ``topic`` until ``stop``; an outage of the broker leaves the slots as they are."""
        subscriptions = [self.subscription(topic, seal)]
        with closing(MessageFollower(open_follower, subscriptions, self._clock)) as messages:
            while not stop.is_set():
                outage = messages.turn(FOLLOW, stop)
                if outage is not None:
                    log.warning("model_events_unavailable", error=str(outage))
                if messages.is_at_end():
                    self.history_is_read()
                self.turn()

    def subscription(self, topic: str, seal: EventSeal) -> Subscription[ModelEvent]:
        """Return the subscription to the model events; an event that does not fit, or that is not to be
        believed, is counted and ignored.
        """
        newest = NewestEvents(seal)

        def note(record: Record, event: ModelEvent) -> None:
            newest.admit(record, event)
            self._note(event)

        return Subscription(topic, ModelEvent, note, self._ignore)

    def _note(self, event: ModelEvent) -> None:
        if event.product not in self._product_models:
            metrics.EVENTS_IGNORED.add(1, reason="unknown_product")
            return
        product_model = self._product_models[event.product]
        product_model.wanted = event.live()
        product_model.retry = self._retry_timer()

    def _ignore(self, record: Record, error: PoisonMessage) -> None:
        metrics.EVENTS_IGNORED.add(1, reason=error.reason)
        log.warning("model_event_ignored", offset=record.offset, error=str(error))

    def history_is_read(self) -> None:
        """Begin to bring versions in: every event that was there at the start has been noted.

        Before, the newest event of a product may not have been read yet, and the newest one read so far may
        name a version that was rolled back.
        """
        if not self._has_history:
            self._has_history = True
            for product_model in self._product_models.values():
                self._report(product_model, NO_LIVE_MODEL)

    def turn(self) -> None:
        """Bring in the versions that are live and not in use, and ask the canaries that are due."""
        self._health.beat(MODEL_UPDATER, BEAT_WITHIN)
        if not self._has_history:
            return
        for name, product_model in self._product_models.items():
            self._health.beat(MODEL_UPDATER, BEAT_WITHIN)
            now = self._clock.monotonic()
            if product_model.retry.is_due and not _is_same(product_model.wanted, product_model.slot.known):
                self._swap(name, product_model)
            if product_model.slot.known is not None and now >= product_model.canary_at:
                self._canary(name, product_model)

    def _swap(self, name: str, product_model: ProductModel) -> None:
        """Use the live version once it gives its known answers; until then the slot stays as it is."""
        model = product_model.wanted
        if model is None:
            product_model.slot.clear()
            log.warning("model_withdrawn", product=name)
            self._outcome(product_model, "withdrawn")
            self._report(product_model, NO_LIVE_MODEL)
            return
        try:
            probe(name, model, self._inference)
            check_parity(name, model, self._inference)
        except (ContractBroken, InferenceUnavailable) as error:
            self._refuse(name, product_model, model, error)
            return
        product_model.slot.put(model)
        product_model.retry.succeeded()
        product_model.refused = 0, ""
        product_model.canary_at = self._clock.monotonic() + self._policy.canary_seconds
        log.info("model_in_use", product=name, version=model.version, thresholds=model.threshold_version)
        self._outcome(product_model, "swapped")
        self._report(product_model, "")

    def _refuse(
        self,
        name: str,
        product_model: ProductModel,
        model: Model,
        error: ContractBroken | InferenceUnavailable,
    ) -> None:
        product_model.retry.failed()
        outcome = WRONG_ANSWER if isinstance(error, ContractBroken) else error.reason
        self._outcome(product_model, outcome)
        if product_model.refused != (model.version, outcome):
            product_model.refused = model.version, outcome
            log.error(
                "version_not_used", product=name, version=model.version, reason=outcome, error=str(error)
            )
        if product_model.slot.known is None:
            self._report(product_model, outcome)

    def _canary(self, name: str, product_model: ProductModel) -> None:
        """Ask the model in use for its known answers; wrong answers hold the product's frames."""
        model = product_model.slot.known
        assert model is not None
        began = self._clock.monotonic()
        product_model.canary_at = began + self._policy.canary_seconds
        reason = ""
        try:
            probe(name, model, self._inference)
            product_model.slot.resume()
        except ContractBroken as error:
            reason = WRONG_ANSWER
            product_model.slot.suspend(reason)
            log.error("canary_failed", product=name, version=model.version, reason=reason, error=str(error))
        except InferenceUnavailable as error:
            reason = error.reason
            log.warning("canary_failed", product=name, version=model.version, reason=reason, error=str(error))
        metrics.CANARY_SECONDS.record(self._clock.monotonic() - began, product=name)
        self._report(product_model, reason)

    def _retry_timer(self) -> RetryTimer:
        backoff = Backoff.of_seconds(self._policy.retry_seconds, self._policy.retry_longest_seconds)
        return RetryTimer(backoff, self._clock)

    def _outcome(self, product_model: ProductModel, outcome: str) -> None:
        metrics.SWAPS.add(1, product=product_model.slot.product, outcome=outcome)

    def _report(self, product_model: ProductModel, reason: str) -> None:
        name, model = product_model.slot.product, product_model.slot.known
        metrics.CANARY.set(int(not reason), product=name)
        metrics.MODEL_VERSION.set(model.version if model else 0, product=name)
        metrics.THRESHOLD_VERSION.set(model.threshold_version if model else 0, product=name)
        self._health.set_ready(f"model:{name}", not reason, reason)


def _is_same(wanted: Model | None, known: Model | None) -> bool:
    """Return True when the two models agree in all that scoring depends on."""
    if wanted is None or known is None:
        return wanted is known
    if (wanted.version, wanted.threshold_version) != (known.version, known.threshold_version):
        return False
    return (
        wanted.calibrations == known.calibrations
        and wanted.stations == known.stations
        and wanted.certified_calibrations == known.certified_calibrations
        and wanted.probes == known.probes
    )
