"""The dashboard of the service of alerts."""

from tools.dashboards.expressions import chosen, in_an_hour, quantile, rate
from tools.dashboards.panel import Dashboard, Panel, Query
from tools.dashboards.processes import processes

_DATABASE_THERE = "the database always answered."

_INTAKE = (
    Panel(
        "Taken into the database",
        "Messages a second, by what they are.",
        (Query(rate("alerts_observations_total", "kind"), "{{kind}}"),),
        unit="cps",
        runbook="database_behind",
    ),
    Panel(
        "Behind",
        "Messages that the database has not, by topic.",
        (
            Query(
                f"sum by (topic) (max by (line, topic, partition) ({chosen('alerts_lag_messages')}))",
                "{{topic}}",
            ),
        ),
        thresholds=((1000, "red"),),
        runbook="database_behind",
    ),
    Panel(
        "Capture to decision",
        "From the capture of a frame to the commit of what its score changed.",
        (
            Query(quantile(0.5, "alerts_capture_to_database_seconds"), "p50"),
            Query(quantile(0.99, "alerts_capture_to_database_seconds"), "p99"),
        ),
        unit="s",
        thresholds=((2, "red"),),
        runbook="slow_alerts",
    ),
    Panel(
        "Time of a transaction",
        "Of the database.",
        (
            Query(quantile(0.5, "alerts_transaction_duration_seconds"), "p50"),
            Query(quantile(0.99, "alerts_transaction_duration_seconds"), "p99"),
        ),
        unit="s",
        runbook="database_away",
    ),
    Panel(
        "Passed over",
        "Messages within an hour that changed nothing, by why.",
        (Query(in_an_hour("alerts_passed_over_total", "reason"), "{{reason}}"),),
        quiet="every message was new and of this line.",
    ),
    Panel(
        "Read again",
        "Messages within an hour that the database had already; and partitions read again.",
        (
            Query(in_an_hour("alerts_read_again_total", "instance"), "{{instance}}"),
            Query(in_an_hour("alerts_rewound_total", "topic"), "{{topic}} rewound"),
        ),
        runbook="database_behind",
        quiet="there was no crash and no rebalance.",
    ),
    Panel(
        "Lag not measured",
        "Times within an hour that the lag could not be asked for.",
        (Query(in_an_hour("alerts_lag_failures_total", "reason"), "{{reason}}"),),
        runbook="kafka_away",
        quiet="the broker always answered.",
    ),
    Panel(
        "Line not measured",
        "Measures of the line within an hour that could not be made.",
        (Query(in_an_hour("alerts_line_watch_failures_total", "reason"), "{{reason}}"),),
        runbook="line_watch",
        quiet="every measure was made.",
    ),
)
_INCIDENTS = (
    Panel(
        "Changes of incidents",
        "Within an hour, by what changed and whether subscribers are notified.",
        (Query(in_an_hour("alerts_changes_total", "change, notify"), "{{change}}, notified: {{notify}}"),),
    ),
    Panel(
        "Held back",
        "Changes within an hour that were recorded and not notified, by why.",
        (Query(in_an_hour("alerts_held_back_total", "reason"), "{{reason}}"),),
        quiet="every change was notified.",
    ),
    Panel(
        "Written to alerts.v1",
        "Changes a second.",
        (Query(rate("alerts_published_total", "instance"), "{{instance}}"),),
        unit="cps",
    ),
    Panel(
        "Not written to alerts.v1",
        "Attempts within an hour that failed; they are made again.",
        (Query(in_an_hour("alerts_publish_failures_total", "reason"), "{{reason}}"),),
        runbook="kafka_away",
        quiet="the broker took each.",
    ),
    Panel(
        "Maintenance windows",
        "Ends of windows within an hour, and summaries of what still stood.",
        (
            Query(in_an_hour("alerts_window_ends_total", "line"), "ends"),
            Query(in_an_hour("alerts_window_summaries_total", "line"), "summaries"),
            Query(in_an_hour("alerts_window_end_failures_total", "reason"), "failed: {{reason}}"),
        ),
        runbook="database_away",
        quiet="no window has ended.",
    ),
    Panel(
        "Escalation",
        "Steps that came due within an hour, and waits for the database.",
        (
            Query(in_an_hour("alerts_escalation_steps_total", "outcome"), "{{outcome}}"),
            Query(in_an_hour("alerts_escalation_waits_total", "line"), "waits"),
        ),
        runbook="deliveries_dead",
        quiet="somebody took every incident.",
    ),
)
_DELIVERIES = (
    Panel(
        "Deliveries",
        "Taken, a second, by channel.",
        (Query(rate("alerts_deliveries_total", "channel"), "{{channel}}"),),
        unit="cps",
        runbook="deliveries_dead",
    ),
    Panel(
        "Attempts that failed",
        "Within an hour, by channel and why.",
        (Query(in_an_hour("alerts_delivery_failures_total", "channel, reason"), "{{channel}} {{reason}}"),),
        runbook="deliveries_dead",
        quiet="every endpoint took what it was sent.",
    ),
    Panel(
        "Deliveries given up",
        "Within an hour, by why.",
        (Query(in_an_hour("alerts_deliveries_dead_total", "reason"), "{{reason}}"),),
        thresholds=((1, "red"),),
        runbook="deliveries_dead",
        quiet="none was given up.",
    ),
    Panel(
        "From a change to its delivery",
        "Retries included.",
        (
            Query(quantile(0.5, "alerts_delivery_delay_seconds"), "p50"),
            Query(quantile(0.99, "alerts_delivery_delay_seconds"), "p99"),
        ),
        unit="s",
        thresholds=((5, "red"),),
        runbook="slow_alerts",
    ),
    Panel(
        "Time of an attempt, p99",
        "From the connection to the answer.",
        (Query(quantile(0.99, "alerts_delivery_attempt_duration_seconds", "channel"), "{{channel}}"),),
        unit="s",
    ),
    Panel(
        "In flight",
        "Deliveries that an endpoint has not answered yet.",
        (Query(f"sum by (instance) ({chosen('alerts_deliveries_in_flight_messages')})", "{{instance}}"),),
    ),
    Panel(
        "Endpoints left alone",
        "Times within an hour that an endpoint failed so often that it is left alone.",
        (Query(in_an_hour("alerts_breakers_opened_total", "line"), "{{line}}"),),
        runbook="deliveries_dead",
        quiet="no endpoint failed so often.",
    ),
    Panel(
        "Waits for the database",
        "Times within an hour that deliveries or digests waited for it.",
        (
            Query(in_an_hour("alerts_outbox_waits_total", "line"), "deliveries"),
            Query(in_an_hour("alerts_digest_waits_total", "line"), "digests"),
        ),
        runbook="database_away",
        quiet=_DATABASE_THERE,
    ),
    Panel(
        "Digests",
        "Put into the outbox within an hour, and alerts that did not fit into theirs.",
        (
            Query(in_an_hour("alerts_digests_total", "line"), "digests"),
            Query(in_an_hour("alerts_digest_left_out_total", "line"), "left out"),
        ),
        quiet="nobody is told by digest.",
    ),
    Panel(
        "Heartbeat outward",
        "Taken, failed and withheld, within an hour.",
        (
            Query(in_an_hour("alerts_heartbeats_total", "line"), "taken"),
            Query(in_an_hour("alerts_heartbeat_failures_total", "reason"), "failed: {{reason}}"),
            Query(in_an_hour("alerts_heartbeats_withheld_total", "reason"), "withheld: {{reason}}"),
        ),
        runbook="line_watch",
        quiet="no monitor outside is set.",
    ),
)
_REST = (
    Panel(
        "Requests to the API",
        "A second, by route and status.",
        (Query(rate("alerts_api_requests_total", "route, status"), "{{route}} {{status}}"),),
        unit="reqps",
        runbook="api_failing",
    ),
    Panel(
        "Time of a request, p99",
        "By route.",
        (Query(quantile(0.99, "alerts_api_request_duration_seconds", "route"), "{{route}}"),),
        unit="s",
        runbook="api_failing",
    ),
    Panel(
        "Removed because it is old",
        "Within an hour, by what it is; and times that nothing could be removed.",
        (
            Query(in_an_hour("alerts_removed_total", "what"), "{{what}}"),
            Query(in_an_hour("alerts_retention_failures_total", "reason"), "failed: {{reason}}"),
        ),
        runbook="retention_failing",
        quiet="nothing is old enough.",
    ),
)

ALERTS_DASHBOARD = Dashboard(
    "alerts",
    "alerts",
    "From observations to incidents, and from incidents to people.",
    (
        ("Intake", _INTAKE),
        ("Incidents", _INCIDENTS),
        ("Deliveries", _DELIVERIES),
        ("API and retention", _REST),
        ("Processes", processes("alerts")),
    ),
)
