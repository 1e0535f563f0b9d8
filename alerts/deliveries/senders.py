"""What hands over to each kind of channel."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NoReturn

from alerts.deliveries.channels.alertmanager import AlertmanagerSender
from alerts.deliveries.channels.mail import MailSender, MailServer
from alerts.deliveries.channels.pagerduty import PagerDutySender
from alerts.deliveries.channels.webhook import WebhookSender
from alerts.deliveries.failure import EndpointUnreachable
from alerts.deliveries.http_client import HttpClient
from alerts.deliveries.parcel import Parcel, ParcelSender
from alerts.deliveries.pictures import ReadPicture


class NoMailServer:
    """Stands where no mail server is set: mail waits until one is, or dies of its deadline."""

    def send(self, parcel: Parcel) -> NoReturn:
        raise EndpointUnreachable("no mail server is set")


def channel_senders(
    line: str,
    client: HttpClient,
    read_picture: ReadPicture,
    server: MailServer | None,
    others: Mapping[str, ParcelSender] = MappingProxyType({}),
) -> dict[str, ParcelSender]:
    """Return a sender for each kind of channel; ``server`` is None where no mail server is set.

    ``others`` are those that connect by themselves: ``mqtt`` and ``apprise``.
    """
    return {
        "webhook": WebhookSender(line, client, read_picture),
        "alertmanager": AlertmanagerSender(line, client),
        "pagerduty": PagerDutySender(line, client),
        "mail": NoMailServer() if server is None else MailSender(line, server, read_picture),
        **others,
    }
