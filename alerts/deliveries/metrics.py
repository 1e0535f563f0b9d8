"""What becomes of deliveries, and of the messages of ``alerts.v1``."""

from alerts.deliveries.failure import DEADLINE_PASSED, FAILURES, EndpointGone
from alerts.subscriptions.channel import CHANNEL_KINDS
from steadyline.telemetry.instrument import counter, gauge, histogram

DELIVERED = counter(
    "alerts_deliveries_total", "Deliveries that were taken.", labels={"channel": CHANNEL_KINDS}
)
FAILED = counter(
    "alerts_delivery_failures_total",
    "Attempts that failed; each is made again until the deadline.",
    labels={"channel": CHANNEL_KINDS, "reason": [one.reason for one in FAILURES]},
)
DEAD = counter(
    "alerts_deliveries_dead_total",
    "Deliveries given up.",
    labels={"reason": (DEADLINE_PASSED, EndpointGone.reason)},
)
BREAKERS_OPENED = counter(
    "alerts_breakers_opened_total", "Times an endpoint failed so often in a row that it is left alone."
)
ATTEMPT_SECONDS = histogram(
    "alerts_delivery_attempt_duration_seconds",
    "One attempt, from the connection to the answer.",
    labels={"channel": CHANNEL_KINDS},
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
DELAY_SECONDS = histogram(
    "alerts_delivery_delay_seconds",
    "From a change in the database to its delivery.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86400),
)
IN_FLIGHT = gauge("alerts_deliveries_in_flight_messages", "Deliveries that an endpoint has not answered yet.")
DATABASE_AWAY = counter(
    "alerts_outbox_waits_total", "Times deliveries waited because the database was away or locked."
)
PUBLISHED = counter("alerts_published_total", "Changes of incidents written to `alerts.v1`.")
PUBLISH_FAILURES = counter(
    "alerts_publish_failures_total",
    "Times changes could not be written to `alerts.v1`; they are written again.",
    labels=("reason",),
)
