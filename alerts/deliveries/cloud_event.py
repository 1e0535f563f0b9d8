"""An alert or a digest as a CloudEvent 1.0 in JSON, structured mode."""

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from alerts.deliveries.parcel import Parcel
from alerts.deliveries.pictures import subtype_of
from steadyline.contracts.alert import Alert
from steadyline.contracts.alert_digest import AlertDigest
from steadyline.contracts.headers import SPEC_VERSION, format_time

CONTENT_TYPE = "application/cloudevents+json"


def encode_event(line: str, parcel: Parcel, pictures: Mapping[str, bytes]) -> bytes:
    """Return the body of an alert, or of a digest.

    The id of an alert is the incident and the number of the change, the same for each subscriber, and that of
    a digest is its own. An escalation tells of a change again: its id is another one, and it says which step
    of which chain it is. The data is the alert; where there are ``pictures`` it has them beside its own
    fields.
    """
    event = {
        "specversion": SPEC_VERSION,
        "source": f"/steadyline/{line}",
        "datacontenttype": "application/json",
        "traceparent": parcel.traceparent,
        **(_of_alert(parcel, pictures) if parcel.digest is None else _of_digest(parcel, parcel.digest)),
    }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _of_alert(parcel: Parcel, pictures: Mapping[str, bytes]) -> dict[str, Any]:
    alert = parcel.alert
    data = alert.model_dump(mode="json")
    if pictures:
        data["pictures"] = {
            name: {"media_type": f"image/{subtype_of(picture)}", "base64": b64encode(picture).decode()}
            for name, picture in pictures.items()
        }
    identity, note = alert.identity(alert.incident, alert.at), parcel.escalation
    event: dict[str, Any] = {
        "id": identity if note is None else f"{identity}/{parcel.id}",
        "type": Alert.TYPE,
        "subject": alert.incident,
        "time": format_time(alert.at),
        "data": data,
    }
    if note is not None:
        event |= {"escalationchain": note.chain, "escalationstep": note.step}
    return event


def _of_digest(parcel: Parcel, digest: AlertDigest) -> dict[str, Any]:
    return {
        "id": digest.id,
        "type": AlertDigest.TYPE,
        "subject": parcel.subscription.id,
        "time": format_time(digest.until),
        "data": digest.model_dump(mode="json"),
    }
