"""Alerts and the state of each camera, told to an MQTT 5 broker; docs of the topics are in the README."""

import json
import re
import time

from alerts.deliveries.channels.mqtt_connection import MqttConnection, MqttConnections
from alerts.deliveries.channels.mqtt_session import MqttMessage
from alerts.deliveries.channels.mqtt_state import CameraStates
from alerts.deliveries.cloud_event import CONTENT_TYPE, encode_event
from alerts.deliveries.parcel import Parcel, Receipt
from alerts.deliveries.pictures import ReadPicture, pictures_of
from alerts.subscriptions.channel import MqttChannel
from alerts.subscriptions.subscription import Subscription

_NO_ATTRIBUTES = ("data", "datacontenttype")  # of what the payload itself is: its type is of the message
_NO_LEVEL = re.compile(r"[/+#\x00-\x1f\x7f-\x9f]")


class MqttSender:
    """See ``ParcelSender``: first the state of the camera is set right, then the alert is told.

    So who hears of an alert finds the state that goes with it, and a state that the broker does not take is
    not paid for with an alert that comes again and again.
    """

    def __init__(self, connections: MqttConnections, states: CameraStates, read_picture: ReadPicture) -> None:
        self._connections, self._states, self._read_picture = connections, states, read_picture
        self._line = connections.rules.line

    def send(self, parcel: Parcel) -> Receipt:
        end = time.monotonic() + self._connections.rules.attempt.total_seconds()
        connection = self._connections.of(parcel.subscription, parcel.secret)
        message = self._message(parcel)
        if parcel.digest is None and parcel.alert.camera is not None:
            self.tell_states(connection, parcel.subscription, [parcel.alert.camera], end)
        connection.publish([message], end)
        return Receipt()

    def tell_states(
        self, connection: MqttConnection, subscription: Subscription, cameras: list[str], end: float
    ) -> None:
        """Tell what stands of each camera; raises DeliveryFailed.

        Another thread or process may read earlier and tell later. So each looks again once its own message
        is acknowledged, and tells anew what has changed: whoever tells last has looked after that.
        """
        channel = subscription.channel
        assert isinstance(channel, MqttChannel)
        seen = [camera for camera in cameras if subscription.filter.sees(camera)]
        told: dict[str, bytes] = {}
        while seen:
            states = self._states.of(subscription.filter, seen)
            new = {camera: state for camera, state in states.items() if told.get(camera) != state}
            if not new:
                return
            connection.publish(
                [
                    MqttMessage(
                        self._topic(channel, "cameras", camera, "state"), state, "application/json", True
                    )
                    for camera, state in new.items()
                ],
                end,
            )
            told |= new

    def _message(self, parcel: Parcel) -> MqttMessage:
        channel = parcel.subscription.channel
        assert isinstance(channel, MqttChannel)
        if parcel.digest is not None:
            topic, body = self._topic(channel, "digests"), encode_event(self._line, parcel, {})
        else:
            topic = self._topic(channel, "incidents", parcel.alert.incident)
            pictures = pictures_of(parcel.alert, self._read_picture) if channel.pictures else {}
            body = encode_event(self._line, parcel, pictures)
        event = json.loads(body)
        attributes = {
            name: str(value) for name, value in event.items() if value and name not in _NO_ATTRIBUTES
        }
        return MqttMessage(topic, body, CONTENT_TYPE, properties={**attributes, "delivery": parcel.id})

    def _topic(self, channel: MqttChannel, *levels: str) -> str:
        named = [_NO_LEVEL.sub("_", level) for level in (self._line, *levels)]
        return "/".join((channel.prefix, *named))
