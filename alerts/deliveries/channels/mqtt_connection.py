"""One connection a subscription to its MQTT broker, kept open and opened again when it was lost."""

import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from alerts.deliveries.channels.mqtt_session import MqttMessage, MqttPlace, MqttSession
from alerts.deliveries.egress import EgressGuard
from alerts.deliveries.failure import EndpointTimedOut, EndpointUnreachable
from alerts.subscriptions.channel import BROKER_PORTS, MqttChannel
from alerts.subscriptions.subscription import Subscription
from steadyline.daemon_pool import DaemonPool

_CLOSERS = 16  # connections that are closed side by side


@dataclass(frozen=True, slots=True)
class MqttRules:
    """How connections are made, whichever the broker."""

    line: str
    process: str  # unique among live processes: a broker drops a connection whose name comes again
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context
    attempt: timedelta = timedelta(seconds=10)  # from the name to the acknowledgement
    farewell: timedelta = timedelta(seconds=2)


class MqttConnection:
    """The connection of one version of a subscription; safe from several threads at once."""

    def __init__(self, version: int, open_session: Callable[[float], MqttSession]) -> None:
        self.version = version
        self._open_session = open_session
        self._lock = threading.Lock()
        self._session: MqttSession | None = None
        self._is_closed = False
        self.opened = 0  # sessions so far

    @property
    def is_open(self) -> bool:
        """True while a session is there that was not lost."""
        session = self._session
        return session is not None and session.is_alive

    def publish(self, messages: Sequence[MqttMessage], end: float) -> None:
        """Return once the broker has acknowledged all, connecting first where it must; raises DeliveryFailed.

        ``end`` is a moment of the monotonic clock, by which it has returned.
        """
        self._connected(end).publish(messages, end)

    def connect(self, end: float) -> None:
        """See that there is a session; raises DeliveryFailed."""
        self._connected(end)

    def close(self, farewell: timedelta) -> None:
        """Tell that we go, within ``farewell``; whoever publishes afterwards is refused."""
        end = time.monotonic() + farewell.total_seconds()
        self._is_closed = True
        has_lock = self._lock.acquire(timeout=farewell.total_seconds())
        try:
            if self._session is not None and self._session.is_alive:
                self._session.close(end)
        finally:
            if has_lock:
                self._lock.release()

    def _connected(self, end: float) -> MqttSession:
        if not self._lock.acquire(timeout=max(0.0, end - time.monotonic())):
            raise EndpointTimedOut("no time left to wait for the connection")
        try:
            if self._is_closed:
                raise EndpointUnreachable("its subscription has changed, or the service ends")
            session = self._session
            if session is None or not session.is_alive:
                self._session = None
                session = self._session = self._open_session(end)
                self.opened += 1
            if self._is_closed:  # meanwhile, by somebody who did not wait for us
                session.close(end)
                raise EndpointUnreachable("its subscription has changed, or the service ends")
            return session
        finally:
            self._lock.release()


class MqttConnections:
    """All connections of this process, by subscription; safe from several threads at once."""

    def __init__(self, rules: MqttRules, guard: EgressGuard) -> None:
        self.rules = rules
        self._guard = guard
        self._lock = threading.Lock()
        self._known: dict[str, MqttConnection] = {}
        self._is_closed = False

    def of(self, subscription: Subscription, secret: str) -> MqttConnection:
        """Return the connection of a subscription as it stands, not necessarily open.

        Raises EndpointUnreachable for a version of it that a newer one has replaced.
        """
        with self._lock:
            if self._is_closed:
                raise EndpointUnreachable("the service ends")
            known = self._known.get(subscription.id)
            if known is not None and known.version > subscription.version:
                raise EndpointUnreachable("the subscription was changed meanwhile")
            if known is not None and known.version == subscription.version:
                return known
            place = self._place(subscription, secret)
            made = MqttConnection(subscription.version, lambda end: MqttSession(place, self._guard, end))
            self._known[subscription.id] = made
        if known is not None:
            known.close(self.rules.farewell)
        return made

    def retain(self, versions: Mapping[str, int]) -> None:
        """Close the connections of subscriptions that are gone, or no longer of that version."""
        with self._lock:
            left = [id for id, one in self._known.items() if one.version < versions.get(id, one.version + 1)]
            closing = [self._known.pop(id) for id in left]
        self._close(closing)

    def close(self) -> None:
        """Close all, in bounded time, and open none any more."""
        with self._lock:
            self._is_closed = True
            closing = list(self._known.values())
            self._known = {}
        self._close(closing)

    def _close(self, closing: Sequence[MqttConnection]) -> None:
        if not closing:
            return
        pool = DaemonPool(_CLOSERS, "mqtt-close")
        for future in [pool.submit(one.close, self.rules.farewell) for one in closing]:
            future.result()
        pool.close(self.rules.farewell.total_seconds())

    def _place(self, subscription: Subscription, secret: str) -> MqttPlace:
        channel = subscription.channel
        assert isinstance(channel, MqttChannel)
        parts = urlsplit(channel.url)
        return MqttPlace(
            host=str(parts.hostname),
            port=parts.port or BROKER_PORTS[parts.scheme],
            client_id=f"steadyline-{subscription.id[:12]}-{self.rules.process}",
            status_topic=f"{channel.prefix}/{self.rules.line}/status",
            user=channel.user,
            password=secret,
            tls=self.rules.tls() if parts.scheme == "mqtts" else None,
        )
