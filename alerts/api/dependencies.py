"""What the API is made of, and how a route comes by it."""

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from alerts.api.oidc import OidcVerifier
from alerts.api.ports import (
    AnsweredRequest,
    ChangeWrites,
    DeliveryReads,
    FeedbackPublisher,
    IncidentReads,
    RequestMeter,
    SampleSender,
    SubscriptionWrites,
)
from alerts.api.proxies import NOBODY, TrustedProxies
from alerts.api.rate import RateLimiter, RequestRate
from alerts.control.desk import ControlDesk
from alerts.database.audit_store import AuditStore
from alerts.database.connection import Database
from alerts.database.feedback_store import FeedbackStore
from alerts.database.repeat_store import RepeatStore
from alerts.database.rule_version_store import RuleVersionStore
from alerts.database.token_store import TokenStore
from alerts.deliveries.telling import TellingStore
from alerts.escalation.store import ChainStore
from alerts.evidence import EvidenceReader
from alerts.simulation.simulator import Simulator
from alerts.windows.store import WindowStore
from steadyline.clock import Clock
from steadyline.line import Line

_PER_TOKEN = RequestRate(per_second=50, burst=200)
_PER_ADDRESS = RequestRate(per_second=100, burst=400)  # whatever it asks, with whatever token
_FAILURES = RequestRate(per_second=0.2, burst=20)  # tokens that were refused


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """The limits of the API; the numbers are for one process."""

    most_body_bytes: int = 256 << 10  # the largest subscription has some ten thousand
    per_token: RequestRate = _PER_TOKEN
    per_address: RequestRate = _PER_ADDRESS
    failures_per_address: RequestRate = _FAILURES
    most_streams: int = 64
    stream_poll: timedelta = timedelta(milliseconds=500)
    stream_heartbeat: timedelta = timedelta(seconds=15)  # proxies end what is silent for a minute
    proxies: TrustedProxies = NOBODY


@dataclass(frozen=True, slots=True)
class ApiStores:
    """Everything that lies in the database; the routes open the transactions."""

    incidents: IncidentReads
    changes: ChangeWrites
    subscriptions: SubscriptionWrites
    deliveries: DeliveryReads
    tokens: TokenStore = field(default_factory=TokenStore)
    audit: AuditStore = field(default_factory=AuditStore)
    feedback: FeedbackStore = field(default_factory=FeedbackStore)
    repeats: RepeatStore = field(default_factory=RepeatStore)
    windows: WindowStore = field(default_factory=WindowStore)
    tellings: TellingStore = field(default_factory=TellingStore)
    chains: ChainStore = field(default_factory=ChainStore)
    rule_versions: RuleVersionStore = field(default_factory=RuleVersionStore)


def _uncounted(_answered: AnsweredRequest) -> None:
    """Count nothing."""


@dataclass(frozen=True, slots=True)
class ApiDependencies:
    """All that the API needs; ``stop`` ends the streams, and with them the last connections."""

    line: Line
    clock: Clock
    database: Database
    stores: ApiStores
    evidence: EvidenceReader
    samples: SampleSender
    labels: FeedbackPublisher
    control: ControlDesk
    simulator: Simulator
    stop: threading.Event
    settings: ApiSettings = ApiSettings()
    oidc: OidcVerifier | None = None
    meter: RequestMeter = _uncounted


@dataclass(frozen=True, slots=True)
class ApiLimits:
    """The counters of one running API."""

    per_token: RateLimiter
    per_address: RateLimiter
    failures: RateLimiter
    streams: threading.BoundedSemaphore

    @staticmethod
    def of(api: ApiDependencies) -> "ApiLimits":
        """Return fresh ones."""
        settings, clock = api.settings, api.clock
        return ApiLimits(
            RateLimiter(settings.per_token, clock),
            RateLimiter(settings.per_address, clock),
            RateLimiter(settings.failures_per_address, clock),
            threading.BoundedSemaphore(settings.most_streams),
        )


def api_of(connection: HTTPConnection) -> ApiDependencies:
    """Return what the application was made with."""
    api = connection.app.state.api
    assert isinstance(api, ApiDependencies)
    return api


def limits_of(connection: HTTPConnection) -> ApiLimits:
    """Return the counters of the application."""
    limits = connection.app.state.limits
    assert isinstance(limits, ApiLimits)
    return limits


Api = Annotated[ApiDependencies, Depends(api_of)]
Limits = Annotated[ApiLimits, Depends(limits_of)]
