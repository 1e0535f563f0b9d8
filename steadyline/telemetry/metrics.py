"""The health of a process as metrics, so that rules can say which part of which process waits."""

from steadyline.telemetry.instrument import gauge

READY = gauge(
    "health_part_ready_info",
    "1 while this part of the process is ready, otherwise 0; `/readyz` says what it waits for.",
    labels=("part",),
)
LIVE = gauge(
    "health_live_info",
    "1 while every task of the process advances, otherwise 0; `/livez` names those that are silent.",
)
