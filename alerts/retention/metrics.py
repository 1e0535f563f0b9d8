"""The metrics of what is removed."""

from steadyline.telemetry.instrument import counter

REMOVED = counter(
    "alerts_removed_total",
    "What was old enough to be removed, by what it is.",
    labels={"what": ("incident", "delivery", "evidence", "audit")},
)
RETENTION_FAILURES = counter(
    "alerts_retention_failures_total",
    "Times that nothing could be removed because the database or the store was away.",
    labels=("reason",),
)
