"""A signed CloudEvent by POST."""

from alerts.deliveries.answer import receipt_of
from alerts.deliveries.cloud_event import CONTENT_TYPE, encode_event
from alerts.deliveries.http_client import HttpClient
from alerts.deliveries.parcel import Parcel, Receipt
from alerts.deliveries.pictures import ReadPicture, pictures_of
from alerts.deliveries.signature import signed_headers
from alerts.subscriptions.channel import WebhookChannel


class WebhookSender:
    """See ``ParcelSender``."""

    def __init__(self, line: str, client: HttpClient, read_picture: ReadPicture) -> None:
        self._line, self._client, self._read_picture = line, client, read_picture

    def send(self, parcel: Parcel) -> Receipt:
        channel = parcel.subscription.channel
        assert isinstance(channel, WebhookChannel)
        is_shown = channel.pictures and parcel.digest is None  # a digest of many would be too large
        pictures = pictures_of(parcel.alert, self._read_picture) if is_shown else {}
        body = encode_event(self._line, parcel, pictures)
        headers = {
            "content-type": CONTENT_TYPE,
            "user-agent": "steadyline",
            "traceparent": parcel.traceparent,
            **signed_headers(parcel.secret, parcel.id, parcel.now, body),
        }
        return receipt_of(self._client.post(channel.url, headers, body), parcel.now)
