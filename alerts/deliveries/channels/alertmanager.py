"""A POST in the form of Alertmanager's own webhooks (version 4), which on-call tools read."""

import json
from typing import Any

from alerts.deliveries.answer import receipt_of
from alerts.deliveries.http_client import HttpClient
from alerts.deliveries.parcel import Parcel, Receipt
from alerts.deliveries.signature import signed_headers
from alerts.subscriptions.channel import AlertmanagerChannel
from steadyline.contracts.alert import Alert
from steadyline.contracts.headers import format_time

_NOT_OVER = "0001-01-01T00:00:00Z"  # Go's zero time, by which a reader knows that it is still firing


class AlertmanagerSender:
    """See ``ParcelSender``; the group is the incident, so that a tool merges its changes into one alert."""

    def __init__(self, line: str, client: HttpClient) -> None:
        self._line, self._client = line, client

    def send(self, parcel: Parcel) -> Receipt:
        channel = parcel.subscription.channel
        assert isinstance(channel, AlertmanagerChannel)
        body = json.dumps(group_of(self._line, parcel)).encode()
        headers = {
            "content-type": "application/json",
            "user-agent": "steadyline",
            **signed_headers(parcel.secret, parcel.id, parcel.now, body),
        }
        return receipt_of(self._client.post(channel.url, headers, body), parcel.now)


def group_of(line: str, parcel: Parcel) -> dict[str, Any]:
    """Return the body: one group, of one alert, or of those of a digest.

    A digest's alerts have the fingerprints of their incidents, so that a tool knows them again.
    """
    digest = parcel.digest
    alerts = [_entry(line, one) for one in ([parcel.alert] if digest is None else digest.alerts)]
    if parcel.escalation is not None:
        alerts[0]["annotations"]["escalation"] = str(parcel.escalation)
    label = {"incident": parcel.alert.incident} if digest is None else {"digest": digest.id}
    [(name, value)] = label.items()
    return {
        "version": "4",
        "groupKey": f'{{}}:{{{name}="{value}"}}',
        "truncatedAlerts": 0 if digest is None else digest.left_out,
        "status": "firing" if any(one["status"] == "firing" for one in alerts) else "resolved",
        "receiver": parcel.subscription.name,
        "groupLabels": label,
        "commonLabels": _common([one["labels"] for one in alerts]),
        "commonAnnotations": _common([one["annotations"] for one in alerts]),
        "externalURL": "",
        "alerts": alerts,
    }


def _entry(line: str, alert: Alert) -> dict[str, Any]:
    is_over = alert.state == "resolved"
    return {
        "status": "resolved" if is_over else "firing",
        "labels": _labels(line, alert),
        "annotations": _said_of(alert),
        "startsAt": format_time(alert.opened_at),
        "endsAt": format_time(alert.at) if is_over else _NOT_OVER,
        "generatorURL": "",
        "fingerprint": alert.incident[:16],
    }


def _common(found: list[dict[str, str]]) -> dict[str, str]:
    """Return what all of them have, and with the same value."""
    return {name: value for name, value in found[0].items() if all(one.get(name) == value for one in found)}


def _labels(line: str, alert: Alert) -> dict[str, str]:
    """Return what does not change while an incident lasts, and its severity."""
    found = {
        "alertname": alert.kind,
        "incident": alert.incident,
        "line": line,
        "severity": alert.severity,
        "camera": alert.camera,
        "product": alert.product,
    }
    return {name: value for name, value in found.items() if value is not None}


def _said_of(alert: Alert) -> dict[str, str]:
    return {"summary": alert.summary, "description": alert.why, "state": alert.state, "change": alert.change}
