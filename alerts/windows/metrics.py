"""The metrics of maintenance windows."""

from steadyline.telemetry.instrument import counter

ENDS = counter("alerts_window_ends_total", "Occurrences of maintenance windows that are over, noted once.")
SUMMARIES = counter(
    "alerts_window_summaries_total", "Summaries of what still stood at the end of a window, by subscription."
)
END_FAILURES = counter(
    "alerts_window_end_failures_total",
    "Times the end of windows could not be looked for; it is tried again.",
    labels=("reason",),
)
