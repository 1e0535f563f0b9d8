"""An API on a real SQLite file, with stand-ins for what the other rooms of the alerts have."""

import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from httpx2 import Response
from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from typing_extensions import override

from alerts.api.app import make_app
from alerts.api.dependencies import ApiDependencies, ApiSettings, ApiStores
from alerts.api.oidc import OidcVerifier
from alerts.api.ports import (
    AnsweredRequest,
)
from alerts.control.commands import AnswerWatch
from alerts.control.desk import ControlDesk
from alerts.control.letters import DeadLetterDesk
from alerts.control.thumbnail import Thumbnails
from alerts.database.changes import ChangeWriter, ToldChange
from alerts.database.connection import Database
from alerts.database.incident_store import IncidentStore
from alerts.database.tables import Base, ChangeRow, DeliveryRow
from alerts.database.token_store import Role, TokenOrder
from alerts.deliveries.delivery_store import DeliveryStore
from alerts.deliveries.outbox import DeliveryOutbox
from alerts.deliveries.sample import SentSample
from alerts.escalation.follower import EscalationFollower
from alerts.evidence import EvidenceReader
from alerts.incidents.incident import Incident, IncidentChange, incident_id
from alerts.incidents.limit import LimitState, admit
from alerts.simulation.simulator import Simulator
from alerts.subscriptions.store import SubscriptionStore
from steadyline.bank.entry import BankManifest
from steadyline.bank.memory import MemoryBank
from steadyline.clock import ManualClock
from steadyline.contracts.alert import AnomalyFacts, Region
from steadyline.contracts.feedback import Feedback
from steadyline.contracts.model_command import ModelCommand
from steadyline.errors import BankUnavailable, BrokerUnavailable, StoreUnavailable
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.kafka.model_events import EventSeal
from steadyline.line import Line
from steadyline.store import Store

with warnings.catch_warnings():  # it would rather have the successor of httpx, which we do not have
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
LINE = Line.model_validate(
    {
        "line": "line-1",
        "products": {"cell": {}, "panel": {}},
        "cameras": [
            {"id": "east-1", "product": "cell", "source": "rtsp://user:hidden@10.0.0.1/stream"},
            {"id": "west-1", "product": "panel", "source": "folder:west"},
        ],
    }
)


class FailingOutbox:
    """The real outbox, which fails when told to, at the end of what is written."""

    def __init__(self) -> None:
        self.fails = False
        self._outbox = DeliveryOutbox()

    def enqueue(self, session: Session, told: Sequence[ToldChange]) -> None:
        self._outbox.enqueue(session, told)
        if self.fails:
            raise StoreUnavailable("told to fail")


class KeptSamples:
    """Keeps which subscriptions a sample was to be sent to."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def send_sample(self, subscription_id: str) -> SentSample:
        self.sent.append(subscription_id)
        return SentSample(True, 204, None, 31)


class PublishedLabels:
    """Keeps the labels that were to be published; the broker may be away."""

    def __init__(self) -> None:
        self.published: list[Feedback] = []
        self.is_away = False

    def publish(self, feedback: Feedback) -> None:
        if self.is_away:
            raise BrokerUnavailable("told to be away")
        self.published.append(feedback)


class SentOrders:
    """Keeps the orders that were to be sent; the broker may be away, and a trainer may answer at once."""

    def __init__(self) -> None:
        self.sent: list[ModelCommand] = []
        self.is_away = False
        self.on_order: Callable[[ModelCommand, int], None] = lambda command, place: None

    def send(self, command: ModelCommand) -> int:
        if self.is_away:
            raise BrokerUnavailable("told to be away")
        self.sent.append(command)
        self.on_order(command, len(self.sent) - 1)
        return len(self.sent) - 1


class RemoteBank(MemoryBank):
    """A bank that is away while it has an outage."""

    outage: BankUnavailable | None = None

    @override
    def current(self, product: str) -> BankManifest | None:
        if self.outage is not None:
            raise self.outage
        return super().current(product)


class ApiUnderTest:
    """One API and all that it was made with; ``as_`` gives the headers of a token with a role."""

    def __init__(
        self, folder: Path, settings: ApiSettings | None = None, oidc: OidcVerifier | None = None
    ) -> None:
        self.clock = ManualClock(BEGIN)
        self.database = Database(f"sqlite:///{folder}/alerts.db")
        Base.metadata.create_all(self.database.engine)
        self.outbox, self.samples, self.labels = FailingOutbox(), KeptSamples(), PublishedLabels()
        self.changes = ChangeWriter(
            self.outbox, partial(admit, LINE), LimitState(), None, (EscalationFollower(),)
        )
        self.evidence = Store(f"file://{folder}/store")
        self.stop = threading.Event()
        self.answered: list[AnsweredRequest] = []
        self.orders, self.bank, self.broker = SentOrders(), RemoteBank(), MemoryBroker(self.clock)
        self.broker.create_topics(list(LINE.kafka_topics()))
        evidence = EvidenceReader(self.evidence, LINE)
        self.broker = MemoryBroker(self.clock)
        self.broker.create_topics(list(LINE.kafka_topics()))
        self.simulator = Simulator(LINE, self.broker, EventSeal(LINE.line), self.clock, self.stop)
        self.api = ApiDependencies(
            line=LINE,
            clock=self.clock,
            database=self.database,
            stores=ApiStores(IncidentStore(), self.changes, SubscriptionStore(), DeliveryStore()),
            evidence=evidence,
            samples=self.samples,
            labels=self.labels,
            control=ControlDesk(
                sender=self.orders,
                watch=AnswerWatch(self.database, self.clock, self.stop),
                bank=self.bank,
                letters=DeadLetterDesk(self.broker, LINE.kafka_topics(), "steadyline.scorer"),
                thumbnails=Thumbnails(evidence, LINE, self.clock),
            ),
            simulator=self.simulator,
            stop=self.stop,
            settings=settings or ApiSettings(),
            oidc=oidc,
            meter=self.answered.append,
        )
        self.app = make_app(self.api)
        self.client = TestClient(self.app, raise_server_exceptions=False, base_url="http://alerts")

    def secret(self, role: Role, name: str | None = None, days: int = 1) -> str:
        """Return the secret of a new token."""
        order = TokenOrder(name or f"the {role}", role, self.clock.now() + timedelta(days=days))
        with self.database.transaction() as session:
            return self.api.stores.tokens.create(session, order, self.clock.now())[1]

    def as_(self, role: Role, **more: str) -> dict[str, str]:
        """Return the headers of a request by somebody with that role."""
        headers = {"Authorization": f"Bearer {self.secret(role)}"}
        return headers | {name.replace("_", "-"): value for name, value in more.items()}

    def open_incident(self, number: int = 1, **fields: Any) -> Incident:
        """Write an incident as the rules do, and return it."""
        incident = an_incident(number, **fields)
        with self.database.transaction() as session:
            change = IncidentChange(incident, "opened", "3 of the last 5 frames")
            self.changes.write(session, f"scores/{incident.camera}", [change], self.clock.now())
        return incident

    def add_delivery(self, number: int, subscription: str, state: str = "delivered") -> DeliveryRow:
        """Write a delivery of an incident of its own, as the outbox and its attempts leave it."""
        incident = self.open_incident(number)
        at = BEGIN + timedelta(seconds=number)
        with self.database.transaction() as session:
            session.execute(delete(DeliveryRow).where(DeliveryRow.incident == incident.id))
            change = session.scalars(select(ChangeRow).where(ChangeRow.incident == incident.id)).one()
            row = DeliveryRow(
                id=f"{number:032x}",
                subscription=subscription,
                change=change.id,
                incident=incident.id,
                state=state,
                attempts=1,
                created_at=at,
                next_at=at,
                deadline=at + timedelta(days=1),
                last_status=200,
                last_milliseconds=12,
                answer_head="thanks",
            )
            session.add(row)
        return row

    def close(self) -> None:
        """Close all."""
        self.client.close()
        self.simulator.close()
        self.database.close()


@contextmanager
def an_api(folder: Path, **options: Any) -> Iterator[ApiUnderTest]:
    """Run an API for a test."""
    api = ApiUnderTest(folder, **options)
    try:
        yield api
    finally:
        api.close()


def an_incident(number: int = 1, **fields: Any) -> Incident:
    """Return an open incident; a greater number was opened later."""
    frame = f"east-1/1767225600000000000/{number}"
    at = BEGIN + timedelta(minutes=number)
    anomaly = AnomalyFacts(
        first_frame=frame,
        last_frame=frame,
        frames=3,
        worst_frame=frame,
        score=9.0,
        threshold=4.0,
        p_value=0.001,
        model_version=2,
        region=Region(x=0.5, y=0.25),
    )
    plain: dict[str, Any] = {
        "id": incident_id("line-1", "anomaly", "camera/east-1", frame),
        "kind": "anomaly",
        "severity": "warning",
        "state": "open",
        "summary": "anomalous frames on east-1",
        "sequence": 1,
        "opened_at": at,
        "changed_at": at,
        "camera": "east-1",
        "product": "cell",
        "anomaly": anomaly,
    }
    return Incident(**{**plain, **fields})


def reason_of(answer: Response) -> str:
    """Return the reason word of a problem, which it must be in every respect."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    told = answer.json()
    assert told["status"] == answer.status_code
    assert told["type"] == f"urn:steadyline:problem:{told['reason']}"
    assert told["request_id"] == answer.headers["x-request-id"]
    assert told["title"]
    return str(told["reason"])
