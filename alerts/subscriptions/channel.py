"""Where deliveries of a subscription go; what is secret of it is kept apart."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from alerts.subscriptions.apprise_address import check_address, service_of
from steadyline.contracts.message import Part

MOST_URL = 2_048

_PRINTABLE = re.compile(r"[\x21-\x7e]+")


def check_url(url: str) -> str:
    """Return ``url``; raises ValueError when it is no plain http or https address.

    A name and a password in it would be shown to whoever lists subscriptions, and a host that is not written
    in ASCII could look like another one.
    """
    if not _PRINTABLE.fullmatch(url):
        raise ValueError("an address has printable ASCII characters only, and no spaces")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an address is http://HOST/… or https://HOST/…")
    if "@" in parts.netloc:
        raise ValueError("an address holds no user and no password")
    if "\\" in parts.netloc or parts.fragment:
        raise ValueError("an address has no fragment and no backslash in its host")
    if parts.port == 0:  # a port that is none raises here
        raise ValueError("an address has a port from 1 to 65535")
    return url


def check_broker(url: str) -> str:
    """Return ``url``; raises ValueError when it is no plain address of an MQTT broker."""
    if not _PRINTABLE.fullmatch(url):
        raise ValueError("an address has printable ASCII characters only, and no spaces")
    parts = urlsplit(url)
    if parts.scheme not in BROKER_PORTS or not parts.hostname:
        raise ValueError("an address is mqtt://HOST:PORT or mqtts://HOST:PORT")
    if "@" in parts.netloc or "\\" in parts.netloc:
        raise ValueError("an address holds no user, no password and no backslash")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("an address ends with the port")
    if parts.port == 0:  # a port that is none raises here
        raise ValueError("an address has a port from 1 to 65535")
    return url


BROKER_PORTS: Mapping[str, int] = {"mqtt": 1883, "mqtts": 8883}  # where an address names none
BrokerUrl = Annotated[str, Field(max_length=MOST_URL), AfterValidator(check_broker)]
_LEVEL = "[A-Za-z0-9_.-]+"  # of a topic: no wildcard, and none of the broker's own, which begin with $
TopicPrefix = Annotated[str, Field(max_length=200, pattern=f"^{_LEVEL}(?:/{_LEVEL})*$")]
Credential = Annotated[str, Field(min_length=1, max_length=1_024, pattern=r"^[^\x00-\x1f\x7f]+$")]

AppriseUrl = Annotated[str, Field(max_length=MOST_URL), AfterValidator(check_address)]
ServiceName = Annotated[str, Field(max_length=32, pattern="^[a-z0-9]+$")]

EndpointUrl = Annotated[str, Field(max_length=MOST_URL), AfterValidator(check_url)]

# One address as it stands in an envelope: no name beside it, and nothing that would begin another header.
_ATOM = "[A-Za-z0-9_%+-]+"
MailAddress = Annotated[
    str, Field(max_length=254, pattern=rf"^{_ATOM}(?:\.{_ATOM})*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*$")
]


class WebhookChannel(Part):
    """A CloudEvent as JSON, signed as Standard Webhooks want it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["webhook"] = "webhook"
    url: EndpointUrl = Field(description="Address that takes the POST.")
    pictures: bool = Field(False, description="Whether picture and map are in the event, in base64.")


class AlertmanagerChannel(Part):
    """What Alertmanager itself sends to a webhook, for on-call tools that know that."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["alertmanager"] = "alertmanager"
    url: EndpointUrl = Field(description="Address that takes the POST.")


class PagerDutyChannel(Part):
    """An event of PagerDuty's Events API v2."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["pagerduty"] = "pagerduty"
    url: EndpointUrl = Field(
        "https://events.pagerduty.com/v2/enqueue", description="Address that takes the POST."
    )
    routing_key: str | None = Field(
        None,
        max_length=200,
        description="The integration's key. It is kept as the subscription's secret and never shown; null "
        "keeps the one there is, and makes one for a new subscription.",
    )


class MailChannel(Part):
    """An e-mail with the picture and the map in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["mail"] = "mail"
    to: tuple[MailAddress, ...] = Field(min_length=1, max_length=16, description="Who gets it.")


class MqttChannel(Part):
    """Messages to an MQTT 5 broker: each alert, and the retained state of each camera."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["mqtt"] = "mqtt"
    url: BrokerUrl = Field(
        description="Address of the broker: mqtt://HOST:1883, or mqtts://HOST:8883 by TLS."
    )
    prefix: TopicPrefix = Field(
        "steadyline", description="What every topic begins with, before the line's name."
    )
    user: Credential | None = Field(
        None, description="Name at the broker; null: none is given, nor a password."
    )
    password: Credential | None = Field(
        None,
        description="Password at the broker. It is kept as the subscription's secret and never shown; null "
        "keeps the one there is, and makes one for a new subscription.",
    )
    pictures: bool = Field(False, description="Whether picture and map are in the event, in base64.")


class AppriseChannel(Part):
    """A message to people, through one of the services that Apprise speaks to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["apprise"] = "apprise"
    url: AppriseUrl | None = Field(
        None,
        description="Address as Apprise has it, slack://… for example. As it holds tokens, it is kept as the "
        "subscription's secret and never shown; null keeps the one there is, if its service is the same.",
    )
    service: ServiceName | None = Field(
        None, description="What that address begins with, slack for example; needed where it is null."
    )
    pictures: bool = Field(False, description="Whether the picture goes along, where the service takes any.")

    @model_validator(mode="after")
    def _name_the_service(self) -> Self:
        if self.url is None:
            if self.service is None:
                raise ValueError("an address is needed, or the service of the one there is")
            return self
        named = service_of(self.url)
        if self.service not in (None, named):
            raise ValueError("the service is not that of the address")
        object.__setattr__(self, "service", named)
        return self


Channel = Annotated[
    WebhookChannel | AlertmanagerChannel | PagerDutyChannel | MailChannel | MqttChannel | AppriseChannel,
    Field(discriminator="kind"),
]
CHANNEL_KINDS: tuple[str, ...] = ("webhook", "alertmanager", "pagerduty", "mail", "mqtt", "apprise")

# The field of a channel that is the subscription's secret: it is taken out before the channel is kept.
SECRET_FIELDS: Mapping[str, str] = {"pagerduty": "routing_key", "mqtt": "password", "apprise": "url"}


def take_secret(channel: Channel) -> tuple[Channel, str | None]:
    """Return ``channel`` without its secret, and the secret; None where it has none of its own."""
    field = SECRET_FIELDS.get(channel.kind)
    secret = getattr(channel, field) if field is not None else None
    if field is None or not secret:
        return channel, None
    return channel.model_copy(update={field: None}), str(secret)
