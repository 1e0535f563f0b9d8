"""An outbox on a database of its own, with changes written to it as the service does."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from alerts.database.connection import Database
from alerts.database.tables import Base, ChangeRow, DeliveryRow, IncidentRow
from alerts.deliveries.breaker import BreakerRules
from alerts.deliveries.channels.apprise import AppriseSender
from alerts.deliveries.channels.mail import MailServer
from alerts.deliveries.channels.mqtt import MqttSender
from alerts.deliveries.channels.mqtt_connection import MqttConnections, MqttRules
from alerts.deliveries.channels.mqtt_state import CameraStates
from alerts.deliveries.claims import DeliveryClaims, RetryRules
from alerts.deliveries.deliverer import Deliverer, DelivererLimits
from alerts.deliveries.egress import EgressGuard, EgressRules
from alerts.deliveries.http_client import HttpClient, HttpLimits
from alerts.deliveries.mqtt_keeper import MqttKeeper
from alerts.deliveries.outbox import DeliveryOutbox
from alerts.deliveries.parcel import ParcelSender
from alerts.deliveries.senders import channel_senders
from alerts.subscriptions.channel import Channel, WebhookChannel
from alerts.subscriptions.digest_rule import DigestRule
from alerts.subscriptions.filter import SubscriptionFilter
from alerts.subscriptions.store import SubscriptionStore
from alerts.subscriptions.subscription import Subscription
from steadyline.clock import Clock, ManualClock
from steadyline.contracts.alert import Alert, AnomalyFacts, Region
from steadyline.service import ServiceTasks
from tests.support.eventually import eventually

ANOMALY = AnomalyFacts(
    first_frame="east-1/1/1",
    last_frame="east-1/1/9",
    frames=3,
    worst_frame="east-1/1/7",
    score=1.5,
    threshold=1.0,
    p_value=0.001,
    model_version=3,
    region=Region(x=0.25, y=0.5),
    certified_margin=3,
)


def incident_of(number: int) -> str:
    """Return an incident's id."""
    return f"{number:032x}"


def an_alert(**changes: Any) -> Alert:
    """Return an alert of an anomaly, with the named fields replaced."""
    moment = ManualClock().now()
    known: dict[str, Any] = {
        "incident": incident_of(1),
        "sequence": 1,
        "change": "opened",
        "at": moment,
        "why": "3 of the last 5 frames are anomalous.",
        "notify": True,
        "kind": "anomaly",
        "severity": "warning",
        "state": "open",
        "summary": "Anomalies on east-1.",
        "camera": "east-1",
        "product": "cell",
        "opened_at": moment,
        "anomaly": ANOMALY,
    }
    return Alert(**{**known, **changes})


@dataclass(frozen=True)
class Wish:
    """What somebody wants to be told of."""

    name: str
    channel: Channel
    filter: SubscriptionFilter = field(default_factory=SubscriptionFilter)
    enabled: bool = True
    digest: DigestRule | None = None


@dataclass
class OutboxBench:
    """A database with the outbox, and a hand that writes changes."""

    database: Database
    clock: Clock = field(default_factory=ManualClock)
    give_up_after: timedelta = timedelta(hours=1)
    store: SubscriptionStore = field(default_factory=SubscriptionStore)

    @staticmethod
    def on_file(path: Path, clock: Clock | None = None) -> "OutboxBench":
        """Return a bench on a new SQLite file."""
        return OutboxBench.on_url(f"sqlite:///{path}", clock)

    @staticmethod
    def on_url(url: str, clock: Clock | None = None) -> "OutboxBench":
        """Return a bench on an empty database."""
        database = Database(url)
        Base.metadata.create_all(database.engine)
        return OutboxBench(database, clock or ManualClock())

    def subscribe(
        self,
        channel: str | Channel,
        condition: SubscriptionFilter | None = None,
        name: str = "plant",
        digest: DigestRule | None = None,
    ) -> tuple[Subscription, str]:
        """Return a new subscription and its secret; an address stands for a webhook."""
        if isinstance(channel, str):
            channel = WebhookChannel(url=channel)
        wish = Wish(name, channel, condition or SubscriptionFilter(), digest=digest)
        with self.database.transaction() as session:
            return self.store.create(session, wish, "ann", self.clock.now())

    def change(self, incident: int = 1, sequence: int = 1, **changes: Any) -> int:
        """Write a change of an incident with what it puts into the outbox; return its number."""
        return self.write([an_alert(incident=incident_of(incident), sequence=sequence, **changes)])[0]

    def write(self, alerts: list[Alert], traceparent: str | None = None) -> list[int]:
        """Write changes in one transaction; return their numbers."""
        outbox, numbers = DeliveryOutbox(self.give_up_after), []
        with self.database.transaction() as session:
            for alert in alerts:
                session.merge(_incident_row(alert))
                session.flush()
                row = ChangeRow(
                    incident=alert.incident,
                    sequence=alert.sequence,
                    change=alert.change,
                    at=alert.at,
                    written_at=self.clock.now(),
                    notify=alert.notify,
                    traceparent=traceparent,
                    content=alert.encode().decode(),
                )
                session.add(row)
                if alert.notify:
                    outbox.enqueue(session, [(row, alert)])
                session.flush()
                numbers.append(row.id)
        return numbers

    def deliveries(self) -> list[DeliveryRow]:
        """Return all deliveries, in the order of their changes."""
        with self.database.transaction() as session:
            return list(session.scalars(select(DeliveryRow).order_by(DeliveryRow.change)))

    def states(self) -> list[str]:
        """Return the state of each delivery."""
        return [row.state for row in self.deliveries()]


def _incident_row(alert: Alert) -> IncidentRow:
    return IncidentRow(
        id=alert.incident,
        scope=f"scores/{alert.camera}",
        kind=alert.kind,
        camera=alert.camera,
        product=alert.product,
        severity=alert.severity,
        state=alert.state,
        sequence=alert.sequence,
        opened_at=alert.opened_at,
        changed_at=alert.at,
        content="{}",
    )


CAMERAS = ["east-1", "west-1"]  # of the line
PATIENT_BREAKER = BreakerRules(failures=1_000)


@dataclass
class DelivererBench:
    """A deliverer whose turns a test makes; it may deliver to loopback addresses."""

    outbox: OutboxBench
    name: str = "one"
    limits: DelivererLimits = field(default_factory=DelivererLimits)
    rules: RetryRules = field(default_factory=RetryRules)
    http: HttpLimits = field(default_factory=HttpLimits)
    mail: MailServer | None = None
    pictures: dict[str, bytes] = field(default_factory=dict)  # by address
    tls: ssl.SSLContext | None = None
    allow_private: bool = True

    def __post_init__(self) -> None:
        guard = EgressGuard(EgressRules.of(self.allow_private))
        self.client = HttpClient(guard, self.http, self.tls)
        rules = MqttRules("line-1", self.name, self._tls, self.http.whole, timedelta(seconds=1))
        self.mqtt = MqttConnections(rules, guard)
        mqtt = MqttSender(self.mqtt, CameraStates(self.outbox.database), self.pictures.get)
        self.keeper = MqttKeeper(self.outbox.database, self.mqtt, mqtt, CAMERAS, self.outbox.clock)
        apprise = AppriseSender("line-1", self.pictures.get, guard, self.allow_private, self.http.whole)
        others: dict[str, ParcelSender] = {"mqtt": mqtt, "apprise": apprise}
        self.senders = channel_senders("line-1", self.client, self.pictures.get, self.mail, others)
        self.deliverer = Deliverer(
            self.outbox.database,
            DeliveryClaims(self.name, self.rules),
            self.senders,
            self.outbox.clock,
            self.limits,
        )

    def _tls(self) -> ssl.SSLContext:
        return self.tls or ssl.create_default_context()

    def turn_until(
        self, done: Callable[[], object], step: timedelta = timedelta(0), within: float = 20
    ) -> None:
        """Make turns until ``done``; a manual clock goes forward by ``step`` before each."""

        def turn() -> object:
            if isinstance(self.outbox.clock, ManualClock):
                self.outbox.clock.advance(step)
            self.deliverer.turn()
            return done()

        eventually(turn, within)

    def settle(self, step: timedelta = timedelta(0), within: float = 20) -> None:
        """Make turns until nothing is pending."""
        self.turn_until(lambda: "pending" not in self.outbox.states(), step, within)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the deliverer as the service does, until the end of the block."""
        with ServiceTasks(threading.Event()) as tasks:
            tasks.start(self.name, lambda stop: self.deliverer.run(stop, lambda: None))
            yield
