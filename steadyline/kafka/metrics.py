"""Every metric of the core: the loop that all Kafka workers share, and whoever reads a topic."""

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
UNREADABLE = counter(
    "kafka_unreadable_messages_total",
    "Offsets passed over because nothing could be read there: a damaged batch.",
    labels=("topic",),
)
POSITIONS_LOST = counter(
    "kafka_positions_lost_total",
    "Times a position was not on its topic any more, so that reading went on at the first record kept.",
    labels=("topic",),
)
SKIPPED = counter(
    "kafka_skipped_messages_total", "Offsets skipped where a position was lost.", labels=("topic",)
)
OFFSETS_WENT_BACK = counter(
    "kafka_offsets_went_back_total",
    "Times the broker told a committed offset before one that was committed; it was not believed.",
    labels=("topic",),
)
HELD_BACK = gauge(
    "kafka_held_back_messages",
    "Messages behind a position that stands while the topic goes on: another producer's open transaction.",
    labels=("topic",),
)
