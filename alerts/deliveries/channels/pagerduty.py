"""A POST in the form of PagerDuty's Events API v2, which other on-call tools take as well."""

import json
from typing import Any, Literal

from alerts.deliveries.answer import receipt_of
from alerts.deliveries.http_client import HttpClient
from alerts.deliveries.parcel import Parcel, Receipt
from alerts.incidents.incident import SEVERITIES
from alerts.subscriptions.channel import PagerDutyChannel
from steadyline.contracts.alert import IncidentState
from steadyline.contracts.alert_digest import AlertDigest
from steadyline.contracts.headers import format_time

_MOST_SUMMARY = 1_024  # of the API

_IN_SUM = {"incident", "change", "state", "severity", "kind", "camera", "product", "at"}  # it has a limit

Action = Literal["trigger", "acknowledge", "resolve"]
_ACTIONS: dict[IncidentState, Action] = {
    "open": "trigger",
    "acknowledged": "acknowledge",
    "snoozed": "acknowledge",
    "resolved": "resolve",
}


class PagerDutySender:
    """See ``ParcelSender``; the subscription's secret is the routing key."""

    def __init__(self, line: str, client: HttpClient) -> None:
        self._line, self._client = line, client

    def send(self, parcel: Parcel) -> Receipt:
        channel = parcel.subscription.channel
        assert isinstance(channel, PagerDutyChannel)
        body = json.dumps(event_of(self._line, parcel)).encode()
        headers = {"content-type": "application/json", "user-agent": "steadyline"}
        return receipt_of(self._client.post(channel.url, headers, body), parcel.now)


def event_of(line: str, parcel: Parcel) -> dict[str, Any]:
    """Return the body; all changes of an incident have one key, so that they are one incident there too.

    A digest is one event with a key of its own, which sums up the rest: the API takes one event a request.
    """
    digest = parcel.digest
    event = _of_incident(line, parcel) if digest is None else _of_sum(line, digest)
    return {"routing_key": parcel.secret, "client": "Steadyline", **event}


def _of_incident(line: str, parcel: Parcel) -> dict[str, Any]:
    alert, note = parcel.alert, parcel.escalation
    summary = alert.summary or alert.kind
    details = alert.model_dump(mode="json")
    if note is not None:
        summary, details = f"{note}: {summary}", {**details, "escalation": str(note)}
    return {
        "event_action": _ACTIONS[alert.state],
        "dedup_key": alert.incident,
        "payload": {
            "summary": summary[:_MOST_SUMMARY],
            "source": alert.camera or line,
            "severity": alert.severity,
            "timestamp": format_time(alert.at),
            "component": alert.camera or "",
            "group": alert.product or line,
            "class": alert.kind,
            "custom_details": details,
        },
    }


def _of_sum(line: str, digest: AlertDigest) -> dict[str, Any]:
    standing = [alert.severity for alert in digest.alerts if alert.state != "resolved"]
    return {
        "event_action": "trigger",
        "dedup_key": digest.id,
        "payload": {
            "summary": digest.title[:_MOST_SUMMARY],
            "source": line,
            "severity": max(standing, key=SEVERITIES.index, default="info"),
            "timestamp": format_time(digest.until),
            "component": "",
            "group": line,
            "class": "digest",
            "custom_details": {
                "since": format_time(digest.since),
                "until": format_time(digest.until),
                "left_out": digest.left_out,
                "alerts": [alert.model_dump(mode="json", include=_IN_SUM) for alert in digest.alerts],
            },
        },
    }
