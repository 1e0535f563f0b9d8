"""Makes the deliveries of the outbox: one thread keeps the books, others talk to endpoints.

The bookkeeping thread settles what came back and claims what is due in one transaction after another. An
endpoint, which is the channel of one subscription, has a few threads at most, and one while it fails.
"""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import timedelta
from queue import Empty, SimpleQueue

from sqlalchemy.orm import Session

from alerts.database.connection import Database
from alerts.deliveries.breaker import Breaker, BreakerRules
from alerts.deliveries.claims import Attempt, Claim, DeliveryClaims
from alerts.deliveries.containment import send_contained
from alerts.deliveries.failure import DEADLINE_PASSED, DeliveryFailed
from alerts.deliveries.metrics import (
    ATTEMPT_SECONDS,
    BREAKERS_OPENED,
    DATABASE_AWAY,
    DEAD,
    DELAY_SECONDS,
    DELIVERED,
    FAILED,
    IN_FLIGHT,
)
from alerts.deliveries.parcel import Parcel, ParcelSender, Receipt
from steadyline.backoff import Backoff, RetryTimer
from steadyline.clock import Clock
from steadyline.daemon_pool import DaemonPool
from steadyline.errors import StoreUnavailable
from steadyline.telemetry.logs import get_logger
from steadyline.telemetry.tracing import span

log = get_logger(__name__)

_EXPIRE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class DelivererLimits:
    """Bounds of one process."""

    threads: int = 256  # so many endpoints may hang at once before one waits for another
    per_endpoint: int = 8
    poll: timedelta = timedelta(milliseconds=100)
    patience: timedelta = timedelta(seconds=5)  # at the end, for what is under way
    breaker: BreakerRules = field(default_factory=BreakerRules)


class Deliverer:
    """Runs beside the loop of its process; any number of processes may each run one on the same outbox."""

    def __init__(
        self,
        database: Database,
        claims: DeliveryClaims,
        senders: Mapping[str, ParcelSender],
        clock: Clock,
        limits: DelivererLimits | None = None,
    ) -> None:
        """``senders`` has one for each kind of channel."""
        self._database, self._claims, self._senders, self._clock = database, claims, senders, clock
        self._limits = limits or DelivererLimits()
        self._pool = DaemonPool(self._limits.threads, "deliver")
        self._breakers: dict[str, Breaker] = {}
        self._in_flight: dict[str, int] = {}
        self._returned: SimpleQueue[tuple[Claim, Future[Attempt]]] = SimpleQueue()
        self._unsettled: list[Attempt] = []
        self._outage = RetryTimer(Backoff.of_seconds(0.2, 5.0), clock)
        self._expire_at = float("-inf")

    def run(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        """Deliver until ``stop`` is set; ``beat`` is called at least once a second or so."""
        while not stop.is_set():
            beat()
            self.turn()
            self._take_returned(self._limits.poll)
        self._finish()

    def turn(self) -> int:
        """Settle what has come back, start what is due, and return how many deliveries were started.

        While the database is away nothing is started, and what came back is kept until it can be settled.
        """
        self._take_returned(timedelta(0))
        if not self._outage.is_due:
            return 0
        try:
            if self._is_idle():
                self._outage.succeeded()
                return 0
            with self._database.transaction() as session:
                ended = self._claims.settle(session, self._unsettled)
                expired = self._expire(session)
                claims = self._claim(session)
        except StoreUnavailable as error:
            DATABASE_AWAY.add()
            if self._outage.failed():
                log.warning("outbox_waits", reason=error.reason, error=str(error))
            return 0
        self._outage.succeeded()
        self._count(ended, expired)
        self._unsettled = []
        for claim in claims:
            self._start(claim)
        IN_FLIGHT.set(sum(self._in_flight.values()))
        return len(claims)

    def _is_idle(self) -> bool:
        """Tell without any lock whether there is nothing to settle, to give up or to start."""
        if self._unsettled or self._clock.monotonic() >= self._expire_at:
            return False
        with self._database.read() as session:
            return not self._claims.due(session, self._clock.now())

    def _claim(self, session: Session) -> list[Claim]:
        now, claims = self._clock.now(), list[Claim]()
        free = self._limits.threads - sum(self._in_flight.values())
        for subscription in self._claims.due(session, now):
            in_flight = self._in_flight.get(subscription, 0)
            room = min(self._breaker(subscription).room(in_flight, self._limits.per_endpoint), free)
            if room > 0:
                found = self._claims.claim(session, subscription, room, now)
                free -= len(found)
                claims += found
        return claims

    def _expire(self, session: Session) -> int:
        """Look for deadlines now and then: it goes through all that waits."""
        if self._clock.monotonic() < self._expire_at:
            return 0
        self._expire_at = self._clock.monotonic() + _EXPIRE_SECONDS
        return self._claims.expire(session, self._clock.now())

    def _start(self, claim: Claim) -> None:
        endpoint = claim.subscription.id
        self._in_flight[endpoint] = self._in_flight.get(endpoint, 0) + 1
        future = self._pool.submit(self._attempt, claim)
        future.add_done_callback(lambda done: self._returned.put((claim, done)))

    def _attempt(self, claim: Claim) -> Attempt:
        kind, begun = claim.subscription.channel.kind, time.monotonic()
        about = ("incident", claim.alert.incident) if claim.digest is None else ("digest", claim.digest.id)
        attributes = dict([about]) | {"delivery": claim.id, "channel": kind}
        outcome: Receipt | DeliveryFailed
        with span("deliver", parent=claim.traceparent, attributes=attributes, kind="producer") as active:
            parcel = Parcel(
                claim.id,
                claim.subscription,
                claim.secret,
                claim.alert,
                self._clock.now(),
                active.traceparent,
                claim.digest,
                claim.escalation,
            )
            try:
                outcome = send_contained(self._senders[kind], parcel)
            except DeliveryFailed as error:
                active.fail(error.reason)
                outcome = error
        seconds = time.monotonic() - begun
        ATTEMPT_SECONDS.record(seconds, channel=kind)
        return Attempt(claim, outcome, self._clock.now(), seconds)

    def _take_returned(self, wait: timedelta) -> None:
        """Take in all that has come back; wait for the first of it. Any other error is a bug, and raised."""
        seconds = wait.total_seconds()
        while True:
            try:
                claim, future = (
                    self._returned.get(timeout=seconds) if seconds else self._returned.get_nowait()
                )
            except Empty:
                return
            seconds = 0.0
            self._in_flight[claim.subscription.id] -= 1
            self._note(future.result())

    def _note(self, attempt: Attempt) -> None:
        self._unsettled.append(attempt)
        subscription, outcome = attempt.claim.subscription, attempt.outcome
        breaker = self._breaker(subscription.id)
        if isinstance(outcome, Receipt):
            breaker.succeeded()
            return
        FAILED.add(channel=subscription.channel.kind, reason=outcome.reason)
        if breaker.failed(outcome.retry_after):
            BREAKERS_OPENED.add()
            log.warning(
                "endpoint_left_alone", subscription=subscription.id, reason=outcome.reason, error=str(outcome)
            )

    def _breaker(self, subscription: str) -> Breaker:
        if subscription not in self._breakers:
            self._breakers[subscription] = Breaker(self._limits.breaker, self._clock)
        return self._breakers[subscription]

    def _count(self, ended: list[Attempt], expired: int) -> None:
        for attempt in ended:
            if isinstance(attempt.outcome, Receipt):
                DELIVERED.add(channel=attempt.claim.subscription.channel.kind)
                DELAY_SECONDS.record((attempt.at - attempt.claim.written_at).total_seconds())
            else:
                DEAD.add(reason=attempt.outcome.reason)
                log.warning("delivery_dead", delivery=attempt.claim.id, reason=attempt.outcome.reason)
        if expired:
            DEAD.add(expired, reason=DEADLINE_PASSED)
            log.warning("deliveries_dead", count=expired, reason=DEADLINE_PASSED)

    def _finish(self) -> None:
        """Wait a little for what is under way, settle it, and give the rest back."""
        self._pool.close(self._limits.patience.total_seconds())
        self._take_returned(timedelta(0))
        try:
            with self._database.transaction() as session:
                ended = self._claims.settle(session, self._unsettled)
                self._claims.release(session)
        except StoreUnavailable as error:
            log.warning("claims_kept", reason=error.reason, error=str(error))  # until their lease is over
        else:
            self._count(ended, 0)
