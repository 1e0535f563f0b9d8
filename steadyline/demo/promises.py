"""What the demonstration promises, held against its summary."""

from collections.abc import Mapping
from typing import Any

# From the capture of a defective cell to its webhook. The fastest is held against it and the median is shown:
# a training beside the line takes every core of a small machine for most of the run.
ALERT_WITHIN_MS = 2_000.0
CAMERA_DOWN_WITHIN_SECONDS = 10.0


def broken_promises(summary: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each promise that was not kept; the demonstration has failed then."""
    return [*_of_the_account(summary["accounting"]), *_of_alerts(summary["alerts"])]


def _of_the_account(numbers: Mapping[str, int]) -> list[str]:
    named = {name: numbers[name] for name in ("missing", "doubled", "out_of_order")}
    return [f"{count} frames are {name.replace('_', ' ')}" for name, count in named.items() if count]


def late(summary: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each time that was longer than it is on a machine with cores to spare."""
    alerts, found = summary["alerts"], []
    fastest = alerts["capture_to_alert_ms"]["fastest"]
    if fastest is not None and fastest > ALERT_WITHIN_MS:
        found.append(
            f"no webhook came within {ALERT_WITHIN_MS:g} ms of its capture, the fastest took {fastest}"
        )
    camera, down = alerts["camera_unplugged"], alerts["camera_down_seconds"]
    if down is not None and down > CAMERA_DOWN_WITHIN_SECONDS:
        found.append(
            f"that {camera} was unplugged was alerted after {down} s, more than "
            f"{CAMERA_DOWN_WITHIN_SECONDS:g} s"
        )
    return found


def _of_alerts(alerts: Mapping[str, Any]) -> list[str]:
    found = []
    if alerts["capture_to_alert_ms"]["fastest"] is None:
        found.append("no webhook told of a defective cell")
    camera, down = alerts["camera_unplugged"], alerts["camera_down_seconds"]
    if down is None:
        found.append(f"nothing was alerted when {camera} was unplugged")
    elif alerts["camera_back_seconds"] is None:
        found.append(f"the incident of {camera} was not resolved when it was back")
    if alerts["webhook_refused"]:
        found.append(f"{alerts['webhook_refused']} webhooks had no right signature")
    waiting = alerts["deliveries"] - alerts["deliveries_by_state"].get("delivered", 0)
    if waiting:
        found.append(f"{waiting} deliveries did not arrive")
    return found
