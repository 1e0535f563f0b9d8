"""Alerts in the demonstration: its own subscription, what came of it, and the figures of the end."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from steadyline.contracts.alert import AlertChange, IncidentKind
from steadyline.demo.figures import percentile
from steadyline.demo.webhooks import AlertEndpoint, TakenAlert
from steadyline.ops.alerts_client import AlertsClient, AlertsUnavailable

MOST_ENTRIES = 100_000


@dataclass(frozen=True, slots=True)
class PulledPlug:
    """One camera that was unplugged: seconds until that was alerted, and from its return to the end of it.

    None: no alert came in time.
    """

    camera: str
    down_seconds: float | None
    back_seconds: float | None


class AlertWatch:
    """Subscribes an endpoint of its own to everything, and follows what comes there until ``close``."""

    def __init__(self, url: str, token: str) -> None:
        """``url`` is where the API will answer, ``token`` the first token."""
        self._client = AlertsClient(url, token)
        self._endpoint = AlertEndpoint()

    def subscribe(self) -> bool:
        """Subscribe; False while the API does not answer yet."""
        order = {"name": "demonstration", "channel": {"kind": "webhook", "url": self._endpoint.url}}
        try:
            self._endpoint.secret = self._client.post("subscriptions", body=order).body["secret"]
        except AlertsUnavailable:
            return False
        return True

    def first(
        self, camera: str, kind: IncidentKind, change: AlertChange, since: datetime
    ) -> TakenAlert | None:
        """Return the first alert of this kind about a camera that came at ``since`` or later."""
        wanted = (camera, kind, change)
        found = [
            one
            for one in self._endpoint.taken
            if (one.alert.camera, one.alert.kind, one.alert.change) == wanted and one.at >= since
        ]
        return found[0] if found else None

    def is_settled(self) -> bool:
        """Tell whether nothing waits to be delivered."""
        try:
            return not any(self._client.entries("deliveries", 1, state="pending"))
        except AlertsUnavailable:
            return False

    def figures(self, pulled: PulledPlug | None) -> dict[str, Any]:
        """Return what the summary says of alerts; raises AlertsUnavailable."""
        kinds = Counter(one["kind"] for one in self._client.entries("incidents", MOST_ENTRIES))
        states = Counter(one["state"] for one in self._client.entries("deliveries", MOST_ENTRIES))
        return {
            "incidents": kinds.total(),
            "incidents_by_kind": dict(kinds.most_common()),
            "deliveries": states.total(),
            "deliveries_by_state": dict(states),
            "webhook_verified": len({one.delivery for one in self._endpoint.taken}),
            "webhook_refused": self._endpoint.refused,
            "capture_to_alert_ms": capture_to_alert(self._endpoint.taken),
            "camera_unplugged": pulled and pulled.camera,
            "camera_down_seconds": pulled and pulled.down_seconds,
            "camera_back_seconds": pulled and pulled.back_seconds,
        }

    def close(self) -> None:
        """Listen no more."""
        self._endpoint.close()


def capture_to_alert(taken: Sequence[TakenAlert]) -> dict[str, float | int | None]:
    """Return the least, p50 and p99 of the milliseconds from an incident's opening frame to its webhook.

    A delivery that came twice counts once, when it came first.
    """
    first: dict[str, TakenAlert] = {}
    for one in taken:
        if (one.alert.kind, one.alert.change) == ("anomaly", "opened"):
            first.setdefault(one.delivery, one)
    values = [(one.at - one.alert.at).total_seconds() * 1000 for one in first.values()]
    p50, p99 = percentile(values, 0.50), percentile(values, 0.99)
    return {
        "count": len(values),
        "fastest": round(min(values), 1) if values else None,
        "p50": None if p50 is None else round(p50, 1),
        "p99": None if p99 is None else round(p99, 1),
    }
