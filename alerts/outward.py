"""What goes out of the service, and what people ask of it; made here, and run beside the intake."""

import threading
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from alerts.api.app import make_app
from alerts.api.dependencies import ApiDependencies, ApiSettings, ApiStores
from alerts.api.metrics import count_request
from alerts.api.oidc import OidcIssuer, OidcVerifier
from alerts.api.proxies import TrustedProxies
from alerts.api.server import ApiServer
from alerts.config import AlertsSettings
from alerts.control.commands import AnswerWatch, TopicOfOrders
from alerts.control.desk import ControlDesk
from alerts.control.letters import DeadLetterDesk
from alerts.control.thumbnail import Thumbnails
from alerts.database.changes import ChangeWriter
from alerts.database.connection import Database
from alerts.database.incident_store import IncidentStore
from alerts.database.ingest import Ingest
from alerts.deliveries.channels.apprise import AppriseSender
from alerts.deliveries.channels.mail import MailServer
from alerts.deliveries.channels.mqtt import MqttSender
from alerts.deliveries.channels.mqtt_connection import MqttConnections, MqttRules
from alerts.deliveries.channels.mqtt_state import CameraStates
from alerts.deliveries.claims import DeliveryClaims
from alerts.deliveries.deliverer import Deliverer
from alerts.deliveries.delivery_store import DeliveryStore
from alerts.deliveries.digest_outbox import DigestDeliveries
from alerts.deliveries.egress import EgressGuard, EgressRules
from alerts.deliveries.http_client import HttpClient, HttpLimits
from alerts.deliveries.mqtt_keeper import MqttKeeper
from alerts.deliveries.parcel import ParcelSender
from alerts.deliveries.publisher import AlertPublisher, PublisherPlace
from alerts.deliveries.sample import SampleDelivery
from alerts.deliveries.senders import channel_senders
from alerts.deliveries.trust import trusted_context
from alerts.digests.task import DigestTask
from alerts.escalation.task import EscalationTask
from alerts.evidence import EvidenceReader
from alerts.feedback_publisher import TopicOfLabels
from alerts.incidents.limit import LimitState
from alerts.line_watch.heartbeat import HeartbeatPlan, OutwardHeartbeat
from alerts.line_watch.letters import LetterCounter
from alerts.line_watch.place import LineWatchPlace
from alerts.line_watch.watch import ANSWER_WITHIN, LineWatch, LineWatchParts, WatchedLine
from alerts.service import BesideTask
from alerts.simulation.reading import ReadingBounds
from alerts.simulation.simulator import Simulator
from alerts.subscriptions.store import SubscriptionStore
from alerts.windows.ends import WindowEnds
from steadyline.address import is_loopback
from steadyline.bank.redis import RedisBank
from steadyline.clock import Clock
from steadyline.kafka.broker import Broker
from steadyline.kafka.model_events import EventSeal
from steadyline.line import Line
from steadyline.settings import RedisSettings
from steadyline.telemetry.health import ServiceHealth
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

DELIVERIES, MQTT, PUBLISHER, API = "deliveries", "mqtt", "publisher", "api"
DIGESTS, ESCALATIONS, WINDOWS = "digests", "escalations", "windows"
LINE_WATCH, HEARTBEAT = "line-watch", "heartbeat"

_IN_CLEAR = (
    "tokens reach the API over the network unencrypted: put a proxy with TLS in front of it, and its network "
    "into ALERTS_TRUSTED_PROXIES"
)
_PUBLISHED_BYTES = 8 << 20
# Of the publisher: more than one request lasts, less than it holds its place.
_PATIENCE = timedelta(seconds=15)
_MEASURE = timedelta(seconds=25)  # of the line; it lasts less, unless the broker is away
_MQTT_EVERY = timedelta(seconds=1)  # a look at what is kept at brokers when nothing is delivered


@dataclass(frozen=True, slots=True)
class AlertsDependencies:
    """Everything that is read before a connection is opened."""

    line: Line
    settings: AlertsSettings
    seal: EventSeal
    clock: Clock
    redis: RedisSettings


@dataclass(frozen=True, slots=True)
class Outward:
    """What goes out of the service, and what people ask of it: deliveries, the topic of alerts, the API."""

    dependencies: AlertsDependencies
    broker: Broker
    database: Database
    writer: ChangeWriter[LimitState]
    evidence: EvidenceReader
    watch: LineWatch

    def tasks(self, stack: ExitStack, health: ServiceHealth) -> dict[str, BesideTask]:
        """Return the tasks by name; what they open, ``stack`` closes."""
        settings, clock = self.dependencies.settings, self.dependencies.clock
        rules = EgressRules.of(settings.allow_private_addresses)
        limits = HttpLimits(whole=timedelta(seconds=settings.delivery_seconds))
        guard = EgressGuard(rules)
        client = HttpClient(guard, limits, trusted_context(settings.ca_file))
        stack.callback(client.close)
        line, mail = self.dependencies.line.line, _mail_server(settings)
        mqtt, keeper = self._mqtt(guard, stack)
        apprise = AppriseSender(
            line, self.evidence.look, guard, settings.allow_private_addresses, limits.whole
        )
        others: dict[str, ParcelSender] = {"mqtt": mqtt, "apprise": apprise}
        senders = channel_senders(line, client, self.evidence.look, mail, others)
        deliverer = Deliverer(self.database, DeliveryClaims(_unique(settings)), senders, clock)
        publisher = self._publisher(stack)
        give_up_after = timedelta(seconds=settings.delivery_deadline_seconds)
        digests = DigestTask(self.database, DigestDeliveries(give_up_after), clock)
        escalations = EscalationTask(self.database, clock, give_up_after)
        windows = WindowEnds(self.database, DigestDeliveries(give_up_after), clock)
        ending = threading.Event()
        server = self._server(SampleDelivery(self.database, senders, clock), stack, ending)

        def end() -> None:
            ending.set()
            server.request_stop()

        return {
            **self._line_watch(client, health),
            DELIVERIES: BesideTask(lambda stop: deliverer.run(stop, partial(health.beat, DELIVERIES))),
            MQTT: BesideTask(lambda stop: keeper.run(_MQTT_EVERY, stop, partial(health.beat, MQTT))),
            PUBLISHER: BesideTask(lambda stop: publisher.run(stop, partial(health.beat, PUBLISHER))),
            DIGESTS: BesideTask(lambda stop: digests.run(stop, partial(health.beat, DIGESTS))),
            ESCALATIONS: BesideTask(lambda stop: escalations.run(stop, partial(health.beat, ESCALATIONS))),
            WINDOWS: BesideTask(lambda stop: windows.run(stop, partial(health.beat, WINDOWS))),
            API: BesideTask(lambda _: server.run(partial(health.beat, API)), request_stop=end),
        }

    def _line_watch(self, client: HttpClient, health: ServiceHealth) -> dict[str, BesideTask]:
        """Return the watch of the line, and what tells a monitor outside that all is well."""
        settings, clock, watch = self.dependencies.settings, self.dependencies.clock, self.watch
        every = timedelta(seconds=settings.line_watch_seconds)
        tasks = {
            LINE_WATCH: BesideTask(lambda stop: watch.run(every, stop, partial(health.beat, LINE_WATCH)))
        }
        if settings.heartbeat_url is not None:
            plan = HeartbeatPlan(
                settings.heartbeat_url.get_secret_value(),
                timedelta(seconds=settings.heartbeat_seconds),
                2 * every + ANSWER_WITHIN,
            )
            heart = OutwardHeartbeat(plan, client, watch, health, clock)
            tasks[HEARTBEAT] = BesideTask(lambda stop: heart.run(stop, partial(health.beat, HEARTBEAT)))
        return tasks

    def _mqtt(self, guard: EgressGuard, stack: ExitStack) -> tuple[MqttSender, MqttKeeper]:
        line, settings = self.dependencies.line, self.dependencies.settings
        rules = MqttRules(
            line.line,
            settings.instance,
            partial(trusted_context, settings.ca_file),
            timedelta(seconds=settings.delivery_seconds),
        )
        connections = MqttConnections(rules, guard)
        stack.callback(connections.close)
        sender = MqttSender(connections, CameraStates(self.database), self.evidence.look)
        cameras = [camera.id for camera in line.cameras]
        return sender, MqttKeeper(self.database, connections, sender, cameras, self.dependencies.clock)

    def _publisher(self, stack: ExitStack) -> AlertPublisher:
        line, settings = self.dependencies.line, self.dependencies.settings
        client = f"alerts-{settings.instance}-publisher"
        publisher = self.broker.publisher(client, _PUBLISHED_BYTES, _PATIENCE)
        stack.callback(publisher.close)
        place = PublisherPlace(line.kafka_topics().alerts.name, line.line, _unique(settings))
        return AlertPublisher(self.database, publisher, place, self.dependencies.clock)

    def _server(self, samples: SampleDelivery, stack: ExitStack, ending: threading.Event) -> ApiServer:
        line, settings = self.dependencies.line, self.dependencies.settings
        clock = self.dependencies.clock
        topic = line.kafka_topics().feedback
        labels = TopicOfLabels(self.broker, topic, line.line, f"alerts-{settings.instance}-labels")
        stack.callback(labels.close)
        give_up_after = timedelta(seconds=settings.delivery_deadline_seconds)
        api = ApiDependencies(
            line=line,
            clock=clock,
            database=self.database,
            stores=ApiStores(IncidentStore(), self.writer, SubscriptionStore(), DeliveryStore(give_up_after)),
            evidence=self.evidence,
            samples=samples,
            labels=labels,
            control=self._control(stack, ending),
            simulator=self._simulator(stack, ending),
            stop=ending,
            oidc=oidc_verifier(settings, clock),
            meter=count_request,
            settings=ApiSettings(proxies=TrustedProxies.read(settings.trusted_proxies)),
        )
        if not (is_loopback(settings.api_host) or settings.trusted_proxies):
            log.warning("api_in_clear", host=settings.api_host, mend=_IN_CLEAR)
        server = ApiServer(make_app(api), settings.api_host, settings.api_port)
        stack.callback(server.close)
        return server

    def _control(self, stack: ExitStack, ending: threading.Event) -> ControlDesk:
        line, settings = self.dependencies.line, self.dependencies.settings
        topics = line.kafka_topics()
        orders = TopicOfOrders(
            self.broker, topics.model_commands, line.line, f"alerts-{settings.instance}-orders"
        )
        stack.callback(orders.close)
        bank = RedisBank(self.dependencies.redis, line.line)
        stack.callback(bank.close)
        return ControlDesk(
            sender=orders,
            watch=AnswerWatch(self.database, self.dependencies.clock, ending),
            bank=bank,
            letters=DeadLetterDesk(self.broker, topics, f"{line.topics.prefix}.scorer"),
            thumbnails=Thumbnails(self.evidence, line, self.dependencies.clock),
        )

    def _simulator(self, stack: ExitStack, ending: threading.Event) -> Simulator:
        needs, settings = self.dependencies, self.dependencies.settings
        bounds = ReadingBounds(settings.simulation_messages, timedelta(seconds=settings.simulation_seconds))
        simulator = Simulator(needs.line, self.broker, needs.seal, needs.clock, ending, bounds)
        stack.callback(simulator.close)
        return simulator


def line_watch(
    dependencies: AlertsDependencies, broker: Broker, database: Database, ingest: Ingest[Any]
) -> LineWatch:
    line, settings, clock = dependencies.line, dependencies.settings, dependencies.clock
    topics = line.kafka_topics()
    client = f"alerts-{settings.instance}-letters"
    letters = LetterCounter(broker, topics.dead_letters.name, client, clock)
    place = LineWatchPlace(
        line.line, _unique(settings), timedelta(seconds=settings.line_watch_seconds) + _MEASURE
    )
    scorers = settings.scorer_group or f"{line.topics.prefix}.scorer"
    parts = LineWatchParts(broker, database, ingest, letters, place)
    return LineWatch(WatchedLine(line.line, topics, scorers), parts, clock)


def _unique(settings: AlertsSettings) -> str:
    """Return a name that no process has, not even the one before of the same instance."""
    return f"{settings.instance}-{uuid.uuid4().hex[:12]}"


def _mail_server(settings: AlertsSettings) -> MailServer | None:
    if settings.mail_host is None:
        return None
    password = settings.mail_password
    return MailServer(
        settings.mail_host,
        settings.mail_port,
        settings.mail_sender,
        settings.mail_security,
        settings.mail_user,
        None if password is None else password.get_secret_value(),
        timedelta(seconds=settings.delivery_seconds),
        trusted_context(settings.ca_file),
    )


def oidc_verifier(settings: AlertsSettings, clock: Clock) -> OidcVerifier | None:
    """Return who verifies tokens of the issuer, if one is set; raises InvalidConfiguration."""
    if settings.oidc_issuer is None:
        return None
    trust = trusted_context(settings.ca_file)
    return OidcVerifier(OidcIssuer(settings.oidc_issuer, settings.oidc_audience, trust=trust), clock)
