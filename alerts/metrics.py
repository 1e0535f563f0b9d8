"""Every metric of the alerts service; transactions of the group, dead letters and holds are the core's."""

from typing import get_args

from steadyline.contracts.alert import AlertChange
from steadyline.telemetry.instrument import counter, gauge, histogram

OBSERVATIONS = counter(
    "alerts_observations_total",
    "Messages taken into the database, by what they are, and measures of the line.",
    labels={"kind": ("score", "status", "model", "line")},
)
SKIPPED = counter(
    "alerts_read_again_total",
    "Messages that the database had already: they were read again after a crash or a rebalance.",
)
PASSED_OVER = counter(
    "alerts_passed_over_total",
    "Messages that changed nothing, by reason word: of a camera or a product that the line file no longer "
    "has, of one more camera than are taken where it lists none, older than what is known, or known already.",
    labels=("reason",),
)
CHANGES = counter(
    "alerts_changes_total",
    "Changes of incidents, by what changed and whether subscribers are notified.",
    labels={"change": get_args(AlertChange), "notify": ("yes", "no")},
)
HELD_BACK = counter(
    "alerts_held_back_total",
    "Changes of incidents that were recorded and not notified, by why.",
    labels={"reason": ("quiet", "rule", "old", "window", "cooldown", "cap", "unknown_before")},
)
REWOUND = counter(
    "alerts_rewound_total",
    "Partitions read again because the group had committed more than the database has.",
    labels=("topic",),
)
STORE_SECONDS = histogram(
    "alerts_transaction_duration_seconds",
    "Time of one transaction of the database.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
CAPTURE_TO_DATABASE = histogram(
    "alerts_capture_to_database_seconds",
    "From the capture of a frame to the commit of what its score changed.",
    buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30, 60, 300),
)
LAG = gauge(
    "alerts_lag_messages",
    "Messages on a topic that the database has not; markers of transactions count.",
    labels=("topic", "partition"),
)
LAG_FAILURES = counter(
    "alerts_lag_failures_total", "Times the lag could not be asked for.", labels=("reason",)
)
