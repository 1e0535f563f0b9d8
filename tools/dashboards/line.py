"""The dashboard of a line: its cameras, the way of a frame, its budgets."""

from tools.dashboards.expressions import chosen, in_an_hour, quantile, rate
from tools.dashboards.panel import Dashboard, Panel, Query, Variable
from tools.dashboards.slo import ERRORS

_CAMERA = 'camera=~"$camera"'
_ANOMALOUS = 'verdict="anomalous"'
_ENDS, _STARTS = "certificate_ends_timestamp_seconds", "certificate_starts_timestamp_seconds"
_NOTHING_DROPPED = "no frame was dropped."

_NOW = (
    Panel(
        "Cameras that are up",
        "Cameras that give good frames, of all that are known.",
        (
            Query(f"sum({chosen('producers_camera_up', _CAMERA)})", "up"),
            Query(f"count({chosen('producers_camera_up', _CAMERA)})", "known"),
        ),
        kind="stat",
        runbook="camera_down",
        width=6,
    ),
    Panel(
        "Frames without a score",
        "Frames on their topic that the scorers have not committed.",
        (Query(f"sum(max by (line, partition) ({chosen('scorer_lag_frames')}))", "frames"),),
        kind="stat",
        thresholds=((100, "yellow"), (500, "red")),
        runbook="lag",
        width=6,
    ),
    Panel(
        "Capture to score, p99",
        "From the capture of a frame to its score.",
        (Query(quantile(0.99, "scorer_capture_to_score_seconds"), "p99"),),
        unit="s",
        kind="stat",
        thresholds=((0.5, "yellow"), (1, "red")),
        runbook="slow_scores",
        width=6,
    ),
    Panel(
        "Not ready",
        "Parts of processes that are not ready.",
        (Query(f"count({chosen('health_part_ready_info')} == 0) or vector(0)", "parts"),),
        kind="stat",
        thresholds=((1, "red"),),
        runbook="not_ready",
        width=6,
    ),
)
_CAMERAS = (
    Panel(
        "Frames captured",
        "Frames a second by camera, dropped ones included.",
        (Query(rate("producers_frames_captured_total", "camera", _CAMERA), "{{camera}}"),),
        unit="cps",
        runbook="camera_slow",
    ),
    Panel(
        "Frames published",
        "Frames a second that the broker has acknowledged.",
        (Query(rate("producers_frames_published_total", "camera", _CAMERA), "{{camera}}"),),
        unit="cps",
        runbook="kafka_away",
    ),
    Panel(
        "Frames dropped",
        "Frames within an hour that were captured and never published.",
        (
            Query(
                in_an_hour("producers_frames_dropped_total", "camera, reason", _CAMERA),
                "{{camera}} {{reason}}",
            ),
        ),
        thresholds=((1, "red"),),
        runbook="frames_dropped",
        quiet=_NOTHING_DROPPED,
    ),
    Panel(
        "Frames pending",
        "Frames whose fate is open: queued, spooled, in flight.",
        (Query(f"sum by (camera) ({chosen('producers_pending_frames', _CAMERA)})", "{{camera}}"),),
        runbook="spool_full",
    ),
    Panel(
        "Buffer or spool",
        "Bytes that wait in memory or on disk.",
        (Query(f"sum by (camera) ({chosen('producers_buffer_bytes', _CAMERA)})", "{{camera}}"),),
        unit="bytes",
        runbook="spool_full",
    ),
    Panel(
        "Cameras lost",
        "Times within an hour that a camera was lost and tried again.",
        (
            Query(
                in_an_hour("producers_reconnects_total", "camera, reason", _CAMERA), "{{camera}} {{reason}}"
            ),
        ),
        thresholds=((1, "yellow"),),
        runbook="camera_down",
        quiet="no camera was lost.",
    ),
    Panel(
        "Up",
        "1 while a camera gives good frames.",
        (Query(f"min by (camera) ({chosen('producers_camera_up', _CAMERA)})", "{{camera}}"),),
        unit="none",
        runbook="camera_down",
    ),
    Panel(
        "Bytes published",
        "Bytes of pictures a second.",
        (Query(rate("producers_published_bytes_total", "camera", _CAMERA), "{{camera}}"),),
        unit="Bps",
    ),
    Panel(
        "Check of quality",
        "Time of one check of a picture: dark, bright, frozen, blurred.",
        (Query(quantile(0.99, "producers_quality_check_duration_seconds"), "p99"),),
        unit="s",
    ),
)
_FLOW = (
    Panel(
        "Frames scored",
        "Frames a second by verdict.",
        (Query(rate("scorer_frames_scored_total", "product, verdict"), "{{product}} {{verdict}}"),),
        unit="cps",
        runbook="no_scores",
    ),
    Panel(
        "From capture",
        "Until the score, until the rules of alerts, and of a delivery.",
        (
            Query(quantile(0.5, "scorer_capture_to_score_seconds"), "score p50"),
            Query(quantile(0.99, "scorer_capture_to_score_seconds"), "score p99"),
            Query(quantile(0.99, "alerts_capture_to_database_seconds"), "decision p99"),
        ),
        unit="s",
        thresholds=((1, "red"),),
        runbook="slow_scores",
    ),
    Panel(
        "Dead letters",
        "Messages refused within an hour, by who refused them and why.",
        (Query(in_an_hour("loop_dead_letters_total", "job, reason"), "{{job}} {{reason}}"),),
        thresholds=((1, "red"),),
        runbook="dead_letters",
        quiet="nothing was refused.",
    ),
    Panel(
        "Frames without an account",
        "Captured, and neither published nor dropped nor pending; it swings round nothing.",
        (
            Query(
                f"sum by (camera) ({chosen('producers_frames_captured_total', _CAMERA)})"
                f" - sum by (camera) ({chosen('producers_frames_published_total', _CAMERA)})"
                f" - (sum by (camera) ({chosen('producers_frames_dropped_total', _CAMERA)})"
                f" or 0 * sum by (camera) ({chosen('producers_frames_captured_total', _CAMERA)}))"
                f" - sum by (camera) ({chosen('producers_pending_frames', _CAMERA)})",
                "{{camera}}",
            ),
        ),
        runbook="frames_missing",
    ),
    Panel(
        "Lag",
        "Frames that wait, by partition.",
        (Query(f"max by (partition) ({chosen('scorer_lag_frames')})", "{{partition}}"),),
        thresholds=((500, "red"),),
        runbook="lag",
    ),
    Panel(
        "Ready",
        "1 while every part of a process is ready.",
        (Query(f"min by (job, instance) ({chosen('health_part_ready_info')})", "{{job}} {{instance}}"),),
        unit="none",
        runbook="not_ready",
    ),
    Panel(
        "Certificates",
        "Until the certificates end that the processes read: the soonest of each edge.",
        (Query(f"min by (edge, role) ({chosen(_ENDS)}) - time()", "{{edge}} {{role}}"),),
        unit="s",
        runbook="certificate_ends",
        quiet="no edge has a certificate.",
    ),
    Panel(
        "Life left of certificates",
        "Share of their life: what renews them does so well before a quarter.",
        (
            Query(
                f"min by (edge, role) (({chosen(_ENDS)} - time()) / ({chosen(_ENDS)} - {chosen(_STARTS)}))",
                "{{edge}} {{role}}",
            ),
        ),
        unit="percentunit",
        runbook="certificate_ends",
        quiet="no edge has a certificate.",
    ),
)
_BUDGETS = (
    Panel(
        "Bad events of each SLO",
        "Their share in an hour. docs/slo.md says how many there may be.",
        (Query(f'{ERRORS}1h{{line=~"$line"}}', "{{slo}} {{product}}"),),
        unit="percentunit",
        runbook="slow_scores",
        width=12,
    ),
    Panel(
        "Anomalous frames against the promise",
        "Their share, and the share of good frames that may be among them.",
        (
            Query(
                f"{rate('scorer_frames_scored_total', 'product', _ANOMALOUS)}"
                f" / {rate('scorer_frames_scored_total', 'product')}",
                "{{product}}",
            ),
            Query(
                f"max by (product) ({chosen('scorer_promised_false_alarm_ratio')})", "{{product}} promised"
            ),
        ),
        unit="percentunit",
        runbook="false_alarms",
        width=12,
    ),
)

LINE_DASHBOARD = Dashboard(
    "line",
    "line",
    "The cameras of a line, the way of its frames and the budgets of its SLOs.",
    (("Now", _NOW), ("Cameras", _CAMERAS), ("Frames", _FLOW), ("Budgets", _BUDGETS)),
    (Variable("camera", "producers_frames_captured_total"),),
)
