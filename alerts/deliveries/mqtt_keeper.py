"""Keeps the MQTT connections of all subscriptions open, and the retained states right when nothing is told.

What a rule holds back, a resolution that nobody is told of for example, changes a state too.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import func, select

from alerts.database.connection import Database
from alerts.database.tables import ChangeRow, SubscriptionRow
from alerts.deliveries.channels.mqtt import MqttSender
from alerts.deliveries.channels.mqtt_connection import MqttConnection, MqttConnections
from alerts.deliveries.channels.mqtt_state import changed_cameras
from alerts.deliveries.failure import DeliveryFailed, SenderFaulty
from alerts.subscriptions.store import read_subscription
from alerts.subscriptions.subscription import Subscription
from steadyline.backoff import Backoff, RetryTimer
from steadyline.clock import Clock
from steadyline.daemon_pool import DaemonPool
from steadyline.errors import StoreUnavailable
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

_THREADS = 32
_MQTT = '%"kind":"mqtt"%'  # as the store writes a channel


@dataclass
class _Kept:
    """What is known of one subscription; only the keeper's own thread touches it."""

    subscription: Subscription
    connection: MqttConnection
    retry: RetryTimer
    waiting: set[str] = field(default_factory=set)  # cameras whose state is to be told
    told_in: int = 0  # the session in which every state was told
    future: Future[int | None] | None = None


class MqttKeeper:
    """Runs beside the loop of its process."""

    def __init__(
        self,
        database: Database,
        connections: MqttConnections,
        sender: MqttSender,
        cameras: list[str],
        clock: Clock,
    ) -> None:
        """``cameras`` are all of the line: each has a state, also one of which nothing was ever told."""
        self._database, self._connections, self._sender = database, connections, sender
        self._cameras, self._clock = cameras, clock
        self._kept: dict[str, _Kept] = {}
        self._last: int | None = None  # the last change that was looked at
        self._outage = RetryTimer(Backoff.of_seconds(1.0, 10.0), clock)
        self._pool = DaemonPool(_THREADS, "mqtt")

    def run(self, every: timedelta, stop: threading.Event, beat: Callable[[], None]) -> None:
        """Keep them until ``stop`` is set; who made the connections closes them."""
        while not stop.is_set():
            beat()
            self.turn()
            stop.wait(every.total_seconds())
        self._pool.close(patience=0.0)

    def turn(self) -> None:
        """Look at subscriptions and changes once, and begin what is to be done; waits for no broker."""
        if not self._outage.is_due:
            return
        try:
            found, changed = self._read()
        except StoreUnavailable as error:
            if self._outage.failed():
                log.warning("mqtt_states_wait", reason=error.reason, error=str(error))
            return
        self._outage.succeeded()
        self._connections.retain({subscription.id: subscription.version for subscription, _ in found})
        before, self._kept = self._kept, {}
        for subscription, secret in found:
            kept = before.get(subscription.id)
            if kept is None or kept.subscription.version != subscription.version:
                kept = self._keep(subscription, secret)
            if kept is not None:
                self._kept[subscription.id] = kept
                kept.waiting |= changed
                self._tend(kept)

    def _read(self) -> tuple[list[tuple[Subscription, str]], set[str]]:
        with self._database.transaction() as session:
            rows = session.scalars(
                select(SubscriptionRow).where(SubscriptionRow.enabled, SubscriptionRow.channel.like(_MQTT))
            )
            found = [(read_subscription(row), row.secret) for row in rows]
            if self._last is None:  # each state is told once at the beginning, whatever has changed
                self._last = session.scalar(select(func.max(ChangeRow.id))) or 0
            self._last, changed = changed_cameras(session, self._last)
        return [pair for pair in found if pair[0].channel.kind == "mqtt"], changed

    def _keep(self, subscription: Subscription, secret: str) -> _Kept | None:
        try:
            connection = self._connections.of(subscription, secret)
        except DeliveryFailed:
            return None  # the next turn reads what has replaced it
        return _Kept(subscription, connection, RetryTimer(Backoff.of_seconds(1.0, 30.0), self._clock))

    def _tend(self, kept: _Kept) -> None:
        if kept.future is not None:
            if not kept.future.done():
                return
            self._note(kept, kept.future)
            kept.future = None
        is_new = not kept.connection.is_open or kept.connection.opened != kept.told_in
        if (is_new or kept.waiting) and kept.retry.is_due:
            cameras = sorted({*self._cameras, *kept.waiting} if is_new else kept.waiting)
            kept.waiting = set()
            kept.future = self._pool.submit(self._tell, kept, cameras, is_new)

    def _tell(self, kept: _Kept, cameras: list[str], is_whole: bool) -> int | None:
        """Return the session in which all was told; None where it was not all."""
        end = time.monotonic() + self._connections.rules.attempt.total_seconds()
        kept.connection.connect(end)
        session = kept.connection.opened
        self._sender.tell_states(kept.connection, kept.subscription, cameras, end)
        return session if is_whole else None

    @staticmethod
    def _note(kept: _Kept, future: Future[int | None]) -> None:
        error = future.exception()
        if error is None:
            kept.retry.succeeded()
            kept.told_in = future.result() or kept.told_in
            return
        if not isinstance(error, DeliveryFailed):  # stays with its subscription, as in send_contained
            log.error("bug", subscription=kept.subscription.id, exc_info=error)
            error = SenderFaulty(f"our own fault, which the log tells: {type(error).__name__}")
        kept.told_in = 0  # all of it again
        if kept.retry.failed():
            log.warning(
                "mqtt_broker_away", subscription=kept.subscription.id, reason=error.reason, error=str(error)
            )
