"""What a channel gets to hand over, and what it says of having done so."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from typing_extensions import override

from alerts.subscriptions.subscription import Subscription
from steadyline.contracts.alert import Alert
from steadyline.contracts.alert_digest import AlertDigest


@dataclass(frozen=True, slots=True)
class EscalationNote:
    """Says that nobody has taken the incident: the name of the chain, and its step from 1."""

    chain: str
    step: int

    @override
    def __str__(self) -> str:
        return f"escalation {self.chain}, step {self.step}"


@dataclass(frozen=True, slots=True)
class Parcel:
    """One alert for one subscription, or a digest; ``id`` is the same in every attempt.

    Where ``digest`` is set, it is what is told, and ``alert`` is the newest alert in it.
    """

    id: str
    subscription: Subscription
    secret: str = field(repr=False)
    alert: Alert
    now: datetime
    traceparent: str
    digest: AlertDigest | None = None
    escalation: EscalationNote | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """An endpoint has taken a parcel; ``head`` is how its answer begins."""

    status: int | None = None
    head: str = ""


class ParcelSender(Protocol):
    """Hands parcels over; safe from several threads at once."""

    def send(self, parcel: Parcel) -> Receipt:
        """Return once the endpoint has taken ``parcel``; raises DeliveryFailed, after a bounded time."""
        ...
