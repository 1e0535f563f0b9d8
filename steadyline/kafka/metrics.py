"""Every metric of the core: the loop that all Kafka workers share."""

from steadyline.telemetry.instrument import counter, gauge, histogram

TRANSACTIONS = counter(
    "loop_transactions_total",
    "Transactions by how they ended: committed, deferred (rebalance), aborted, broken.",
    labels={"outcome": ("committed", "deferred", "aborted", "broken")},
)
COMMIT_SECONDS = histogram(
    "loop_commit_duration_seconds",
    "One transaction, from begin to committed.",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
DEAD_LETTERS = counter("loop_dead_letters_total", "Messages refused, by reason.", labels=("reason",))
HELD = counter(
    "loop_held_total", "Times a message was held: no room, or the broker away.", labels=("reason",)
)
IN_HAND = gauge("loop_in_hand_messages", "Messages taken from the topic and not yet committed.")
