"""The dashboard of Kafka, as the services meet it."""

from tools.dashboards.expressions import chosen, in_an_hour, quantile, rate
from tools.dashboards.panel import Dashboard, Panel, Query
from tools.dashboards.processes import processes

_BROKER = 'part=~"broker|kafka"'
_NOTHING_LOST = "no reader lost its place."

_FLOW = (
    Panel(
        "Transactions",
        "A second, by service and how they ended.",
        (Query(rate("loop_transactions_total", "job, outcome"), "{{job}} {{outcome}}"),),
        unit="cps",
        runbook="transactions_broken",
    ),
    Panel(
        "Time of a transaction, p99",
        "From begin to committed.",
        (Query(quantile(0.99, "loop_commit_duration_seconds", "job"), "{{job}}"),),
        unit="s",
        runbook="kafka_away",
    ),
    Panel(
        "Messages in hand",
        "Taken from the topic and not yet committed.",
        (Query(f"sum by (job, instance) ({chosen('loop_in_hand_messages')})", "{{job}} {{instance}}"),),
    ),
    Panel(
        "Time until a frame is acknowledged",
        "From handing it to the publisher.",
        (
            Query(quantile(0.5, "producers_publish_duration_seconds"), "p50"),
            Query(quantile(0.99, "producers_publish_duration_seconds"), "p99"),
        ),
        unit="s",
        runbook="kafka_away",
    ),
    Panel(
        "Bytes of frames",
        "Published a second.",
        (Query(rate("producers_published_bytes_total", "line"), "{{line}}"),),
        unit="Bps",
    ),
    Panel(
        "Behind",
        "What waits for the scorers, and for the alerts.",
        (
            Query(f"sum by (line) (max by (line, partition) ({chosen('scorer_lag_frames')}))", "scorers"),
            Query(
                f"sum by (line) (max by (line, topic, partition) ({chosen('alerts_lag_messages')}))", "alerts"
            ),
        ),
        runbook="lag",
    ),
)
_TROUBLE = (
    Panel(
        "The broker answers",
        "1 while it answers a process.",
        (
            Query(
                f"min by (job, instance) ({chosen('health_part_ready_info', _BROKER)})",
                "{{job}} {{instance}}",
            ),
        ),
        unit="none",
        runbook="kafka_away",
    ),
    Panel(
        "Held by an open transaction",
        "Messages behind a position that stands while the topic goes on.",
        (Query(f"max by (job, topic) ({chosen('kafka_held_back_messages')})", "{{job}} {{topic}}"),),
        thresholds=((1, "red"),),
        runbook="open_transaction",
    ),
    Panel(
        "Messages held",
        "Times within an hour that a message was held: no room, or the broker away.",
        (Query(in_an_hour("loop_held_total", "job, reason"), "{{job}} {{reason}}"),),
        runbook="kafka_away",
        quiet="there was always room.",
    ),
    Panel(
        "Positions lost",
        "Times within an hour that a position was not on its topic any more.",
        (Query(in_an_hour("kafka_positions_lost_total", "job, topic"), "{{job}} {{topic}}"),),
        thresholds=((1, "red"),),
        runbook="position_lost",
        quiet=_NOTHING_LOST,
    ),
    Panel(
        "Messages skipped",
        "Offsets within an hour that were skipped where a position was lost.",
        (Query(in_an_hour("kafka_skipped_messages_total", "job, topic"), "{{job}} {{topic}}"),),
        thresholds=((1, "red"),),
        runbook="position_lost",
        quiet=_NOTHING_LOST,
    ),
    Panel(
        "Messages that cannot be read",
        "Offsets within an hour that lie in a damaged batch.",
        (Query(in_an_hour("kafka_unreadable_messages_total", "job, topic"), "{{job}} {{topic}}"),),
        thresholds=((1, "red"),),
        runbook="position_lost",
        quiet="no batch is damaged.",
    ),
    Panel(
        "Offsets that went back",
        "Times within an hour that the broker had forgotten a committed offset.",
        (Query(in_an_hour("kafka_offsets_went_back_total", "job, topic"), "{{job}} {{topic}}"),),
        thresholds=((1, "red"),),
        runbook="position_lost",
        quiet="the broker forgot nothing.",
    ),
)

KAFKA_DASHBOARD = Dashboard(
    "kafka",
    "Kafka",
    "What the services write to Kafka and read from it, and what is wrong between them.",
    (("Flow", _FLOW), ("What is wrong", _TROUBLE), ("Producers", processes("producers"))),
)
