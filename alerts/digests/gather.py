"""What of the collected alerts a digest tells: pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alerts.incidents.incident import SEVERITIES
from steadyline.contracts.alert import Alert
from steadyline.contracts.alert_digest import MOST_ALERTS


@dataclass(frozen=True, slots=True)
class GatheredAlerts:
    """The alerts of a digest, oldest first, and how many did not fit."""

    alerts: Sequence[Alert]
    left_out: int


def gather(collected: Iterable[Alert]) -> GatheredAlerts:
    """Return the newest change of each incident; of more than fit what stands, the most serious first."""
    newest: dict[str, Alert] = {}
    for alert in collected:
        known = newest.get(alert.incident)
        if known is None or known.sequence < alert.sequence:
            newest[alert.incident] = alert
    by_weight = sorted(newest.values(), key=_weight, reverse=True)
    kept = sorted(by_weight[:MOST_ALERTS], key=lambda alert: (alert.at, alert.incident))
    return GatheredAlerts(kept, len(by_weight) - len(kept))


def title_of(gathered: GatheredAlerts) -> str:
    """Return one sentence: how many incidents, and how serious those are that still stand."""
    count = len(gathered.alerts) + gathered.left_out
    standing = Counter(alert.severity for alert in gathered.alerts if alert.state != "resolved")
    told = [f"{standing[one]} {one}" for one in reversed(SEVERITIES) if standing[one]]
    more = ["more that are not listed"] if gathered.left_out else []
    things = f"{count} incident{'' if count == 1 else 's'}"
    return f"{things}, of which stand: {', '.join(told + more)}" if told else f"{things}, none of them stands"


def _weight(alert: Alert) -> tuple[bool, int, float, str]:
    return (
        alert.state != "resolved",
        SEVERITIES.index(alert.severity),
        alert.at.timestamp(),
        alert.incident,
    )
