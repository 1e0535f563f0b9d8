"""A subscription as it is asked for, and as it stands."""

from typing import Protocol

from pydantic import Field

from alerts.subscriptions.channel import Channel
from alerts.subscriptions.digest_rule import DigestRule
from alerts.subscriptions.filter import SubscriptionFilter
from steadyline.contracts.message import AwareDatetime, Part


class SubscriptionWish(Protocol):
    """What its owner decides on."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    @property
    def enabled(self) -> bool:
        """Whether anything is delivered; what waits meanwhile goes out later, or dies of its deadline."""
        ...

    @property
    def filter(self) -> SubscriptionFilter:
        """Which alerts."""
        ...

    @property
    def channel(self) -> Channel:
        """Where they go."""
        ...

    @property
    def digest(self) -> DigestRule | None:
        """When they are told together; None: each at once."""
        ...


class AlertSubscription(Part):
    """A subscription, without its secret."""

    id: str
    name: str
    owner: str
    enabled: bool
    filter: SubscriptionFilter
    channel: Channel
    version: int = Field(description="Counts up with each edit.")
    created_at: AwareDatetime
    digest: DigestRule | None = Field(None, description="When it is told together; null: at once.")


Subscription = AlertSubscription  # the core has a Subscription of topics, so the class has a longer name

__all__ = [
    "AlertSubscription",
    "Channel",
    "DigestRule",
    "Subscription",
    "SubscriptionFilter",
    "SubscriptionWish",
]
