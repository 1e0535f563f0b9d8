"""What is known of one product's models; the only way to change it is an event."""

from collections.abc import Iterator
from contextlib import contextmanager

from steadyline.clock import Clock
from steadyline.contracts.model_event import ModelEvent
from steadyline.contracts.topics import Topics
from steadyline.errors import BrokerUnavailable
from steadyline.telemetry.logs import get_logger
from trainer import metrics
from trainer.lifecycle import transitions
from trainer.lifecycle.event_log import EventLog, EventTooLarge
from trainer.lifecycle.leases import Leases
from trainer.lifecycle.transitions import CommandsRead

log = get_logger(__name__)

RECONCILE_SECONDS = 5.0  # between two answers to whoever writes under our key again and again

# An event that the topic would refuse is written with less in it. The smaller sizes are for a topic whose
# limit somebody has lowered; a sixteenth is left for headers and for what surrounds the record.
MOST_EVENT_BYTES = Topics().model_events.max_message_bytes * 15 // 16
SIZES = (MOST_EVENT_BYTES, MOST_EVENT_BYTES // 4, MOST_EVENT_BYTES // 16)


class ProductState:
    """The newest event of one product: read when the lease is taken, and from then on written only by us."""

    def __init__(self, product: str, event_log: EventLog, leases: Leases, clock: Clock) -> None:
        self.product = product
        self._event_log, self._leases, self._clock = event_log, leases, clock
        self._event: ModelEvent | None = None
        self._answering: CommandsRead | None = None
        self._reconcile_at = float("-inf")

    @property
    def event(self) -> ModelEvent:
        """The newest event; raises BrokerUnavailable when it has to be read and cannot be."""
        if self._event is None:
            self._event = self._event_log.newest(self.product) or transitions.nothing_yet(
                self.product, self._clock.now()
            )
            self._measure()
        return self._event

    def announce(self, event: ModelEvent) -> None:
        """Make ``event`` the newest one.

        Raises LeaseLost when nothing was changed. Raises BrokerUnavailable when only the topic knows whether
        the event was written; it is then read again before the next step, so that nothing is announced twice.
        """
        token = self._leases.require(self.product, event.fencing_token)
        if self._answering is not None:
            event = transitions.answered(event, self._answering, event.at)
        sequence = transitions.next_sequence(event, self._clock.now())
        event = event.model_copy(update={"fencing_token": token, "sequence": sequence})
        try:
            self._event = self._announce_fitted(event)
        except BrokerUnavailable:
            self._event = None
            raise
        self._measure()

    def reconcile(self) -> None:
        """Announce the event again when another record lies under its key, from whomever.

        Readers may not believe that record, but it is what a compacted topic keeps. Raises as ``announce``.
        """
        event, now = self.event, self._clock.monotonic()
        if now < self._reconcile_at or not self._event_log.is_contradicted(self.product):
            return
        self._reconcile_at = now + RECONCILE_SECONDS
        token = max(event.fencing_token, self._event_log.greatest_token(self.product))
        log.error("event_announced_again", product=self.product, live=event.live_version)
        self.announce(event.model_copy(update={"at": self._clock.now(), "fencing_token": token}))

    def _announce_fitted(self, event: ModelEvent) -> ModelEvent:
        for size in SIZES:
            shorter = transitions.fitted(event, size)
            if shorter != event:
                log.warning("event_shortened", product=self.product, bytes=size)
            try:
                self._event_log.announce(shorter)
            except EventTooLarge:
                if size == SIZES[-1]:
                    raise
            else:
                return shorter
        raise AssertionError("the last size either fits or raises")

    @contextmanager
    def answering(self, read: CommandsRead) -> Iterator[None]:
        """Let every event announced inside the context say that the commands before ``read`` are answered.

        The outcome of a command and the note that it was answered are thus one event.
        """
        self._answering = read
        try:
            yield
            if transitions.answered_until(self.event, read.topic) < read.until:
                self.announce(self.event.model_copy(update={"at": self._clock.now()}))
        finally:
            self._answering = None

    def forget(self) -> None:
        """Forget the event, because another trainer serves the product; the next use reads it again."""
        self._event = None

    def _measure(self) -> None:
        assert self._event is not None
        metrics.LIVE_VERSION.set(self._event.live_version or 0, product=self.product)
        live = self._event.live()
        if live is not None:
            metrics.CLEAN_AUROC.set(live.figures.get("clean_auroc", 0.0), product=self.product)
            attacked = [value for name, value in live.figures.items() if name.startswith("pgd_auroc_")]
            metrics.ATTACKED_AUROC.set(min(attacked, default=0.0), product=self.product)
