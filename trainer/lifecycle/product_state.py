"""What is known of one product's models; the only way to change it is an event."""

from collections.abc import Iterator
from contextlib import contextmanager

from steadyline.clock import Clock
from steadyline.contracts.model_event import ModelEvent
from steadyline.errors import BrokerUnavailable, Transient
from trainer import metrics
from trainer.lifecycle import transitions
from trainer.lifecycle.event_log import EventLog
from trainer.lifecycle.leases import Leases, LeaseState


class LeaseLost(Transient):
    """Another trainer may be serving the product, so nothing may be announced."""

    reason = "claim_lost"


class ProductState:
    """The newest event of one product: read when the lease is taken, and from then on written only by us."""

    def __init__(self, product: str, event_log: EventLog, leases: Leases, clock: Clock) -> None:
        self.product = product
        self._event_log, self._leases, self._clock = event_log, leases, clock
        self._event: ModelEvent | None = None
        self._answering = 0

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
        if self._leases.state_of(self.product) is not LeaseState.HELD:
            raise LeaseLost(f"the lease on {self.product} is not ours any more")
        event = transitions.answered(event, self._answering, event.at)
        try:
            self._event_log.announce(event)
        except BrokerUnavailable:
            self._event = None
            raise
        self._event = event
        self._measure()

    @contextmanager
    def answering(self, commands_until: int) -> Iterator[None]:
        """Let every event announced inside the context carry ``commands_until``.

        The outcome of a command and the note that it was answered are thus one event.
        """
        self._answering = commands_until
        try:
            yield
            if self.event.commands_until < commands_until:
                self.announce(self.event.model_copy(update={"at": self._clock.now()}))
        finally:
            self._answering = 0

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
