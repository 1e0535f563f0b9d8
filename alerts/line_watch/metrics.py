"""What becomes of the measures of the line, and of the heartbeat outward."""

from typing import Literal, get_args

from alerts.deliveries.failure import FAILURES
from steadyline.telemetry.instrument import counter

# Why no heartbeat is sent: a task hangs, the service is not ready, the line was not measured of late, or an
# incident of the kind ``no_scores`` stands.
Withheld = Literal["not_live", "not_ready", "not_measured", "no_scores"]

FAILED = counter(
    "alerts_line_watch_failures_total",
    "Measures of the line that could not be made or written; the next one covers them.",
    labels=("reason",),
)
HEARTBEATS = counter(
    "alerts_heartbeats_total", "Heartbeats that the outside monitor (`ALERTS_HEARTBEAT_URL`) has taken."
)
HEARTBEAT_FAILURES = counter(
    "alerts_heartbeat_failures_total",
    "Heartbeats that the outside monitor did not take; they are sent again.",
    labels={"reason": [one.reason for one in FAILURES]},
)
HEARTBEATS_WITHHELD = counter(
    "alerts_heartbeats_withheld_total",
    "Heartbeats that were due and not sent, because not all is well: the outside monitor raises the alarm.",
    labels={"reason": get_args(Withheld)},
)
