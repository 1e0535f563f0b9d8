"""The dashboard of the scorers."""

from tools.dashboards.expressions import chosen, in_an_hour, mean, quantile, rate
from tools.dashboards.panel import Dashboard, Panel, Query, Variable
from tools.dashboards.processes import processes

_PRODUCT = 'product=~"$product"'

_WORK = (
    Panel(
        "Frames scored",
        "Frames a second.",
        (Query(rate("scorer_frames_scored_total", "product", _PRODUCT), "{{product}}"),),
        unit="cps",
        runbook="no_scores",
    ),
    Panel(
        "Capture to score",
        "From the capture of a frame to its score.",
        (
            Query(quantile(0.5, "scorer_capture_to_score_seconds", "product", _PRODUCT), "{{product}} p50"),
            Query(quantile(0.99, "scorer_capture_to_score_seconds", "product", _PRODUCT), "{{product}} p99"),
        ),
        unit="s",
        thresholds=((1, "red"),),
        runbook="slow_scores",
    ),
    Panel(
        "Lag",
        "Frames that wait, by partition.",
        (Query(f"max by (partition) ({chosen('scorer_lag_frames')})", "{{partition}}"),),
        thresholds=((500, "red"),),
        runbook="lag",
    ),
    Panel(
        "Stages, p99",
        "Time of decoding and preparing a frame, of a request to Triton, of finishing a batch.",
        (Query(quantile(0.99, "scorer_stage_duration_seconds", "stage"), "{{stage}}"),),
        unit="s",
        runbook="slow_scores",
    ),
    Panel(
        "Frames in a request",
        "Mean of a batch.",
        (Query(mean("scorer_batch_frames", "product"), "{{product}}"),),
    ),
    Panel(
        "Frames in hand",
        "Frames taken and not yet scored.",
        (Query(f"sum by (instance) ({chosen('scorer_in_hand_frames')})", "{{instance}}"),),
    ),
    Panel(
        "Bytes in hand",
        "Bytes of the pictures of those frames, encoded and prepared.",
        (Query(f"sum by (instance) ({chosen('scorer_in_hand_bytes')})", "{{instance}}"),),
        unit="bytes",
    ),
    Panel(
        "Evidence written",
        "Bytes a second to the store.",
        (Query(rate("scorer_evidence_bytes_total", "product, kind", _PRODUCT), "{{product}} {{kind}}"),),
        unit="Bps",
        runbook="store_away",
    ),
)
_TROUBLE = (
    Panel(
        "Frames held",
        "Times within an hour that frames were held back, by why.",
        (Query(in_an_hour("scorer_held_total", "product, reason", _PRODUCT), "{{product}} {{reason}}"),),
        runbook="not_ready",
        quiet="nothing held a frame.",
    ),
    Panel(
        "Failed requests",
        "Requests to Triton within an hour that failed; their frames are asked again.",
        (
            Query(
                in_an_hour("scorer_inference_failures_total", "product, reason", _PRODUCT),
                "{{product}} {{reason}}",
            ),
        ),
        runbook="triton_away",
        quiet="no request failed.",
    ),
    Panel(
        "Lag not measured",
        "Times within an hour that the lag could not be asked for.",
        (Query(in_an_hour("scorer_lag_failures_total", "reason"), "{{reason}}"),),
        runbook="kafka_away",
        quiet="the broker always answered.",
    ),
)
_MODELS = (
    Panel(
        "Version in use",
        "By scorer; 0 while there is none. They differ only for the seconds of a swap.",
        (
            Query(
                f"max by (product, instance) ({chosen('scorer_model_version', _PRODUCT)})",
                "{{product}} {{instance}}",
            ),
        ),
        unit="none",
        runbook="model_mixed",
    ),
    Panel(
        "Thresholds in use",
        "By scorer.",
        (
            Query(
                f"max by (product, instance) ({chosen('scorer_threshold_version', _PRODUCT)})",
                "{{product}} {{instance}}",
            ),
        ),
        unit="none",
        runbook="model_mixed",
    ),
    Panel(
        "Cut by calibrations",
        "Pixels of a frame, the mean, that the calibration of its camera's station cuts at black or white.",
        (
            Query(
                f"{rate('scorer_station_clipped_pixels_total', 'product, camera', _PRODUCT)} / "
                f"{rate('scorer_station_frames_total', 'product, camera', _PRODUCT)}",
                "{{product}} {{camera}}",
            ),
        ),
        unit="none",
        runbook="score_drift",
        quiet="no camera's station is calibrated.",
    ),
    Panel(
        "Swaps",
        "Live versions probed before use, within an hour, by how that ended.",
        (Query(in_an_hour("scorer_swaps_total", "product, outcome", _PRODUCT), "{{product}} {{outcome}}"),),
        runbook="canary_wrong",
    ),
    Panel(
        "Known answers",
        "1 while the model in use gives its known answers.",
        (
            Query(
                f"min by (product, instance) ({chosen('scorer_canary_ok_info', _PRODUCT)})",
                "{{product}} {{instance}}",
            ),
        ),
        unit="none",
        runbook="canary_wrong",
    ),
    Panel(
        "Time of a known answer, p99",
        "Time of one canary inference.",
        (Query(quantile(0.99, "scorer_canary_duration_seconds", "product", _PRODUCT), "{{product}}"),),
        unit="s",
    ),
    Panel(
        "Model events not acted on",
        "Within an hour, by why.",
        (Query(in_an_hour("scorer_model_events_ignored_total", "reason"), "{{reason}}"),),
        runbook="foreign_model_events",
        quiet="every event was acted on.",
    ),
)

SCORER_DASHBOARD = Dashboard(
    "scorer",
    "scorers",
    "What the scorers do, what holds them, and the models they use.",
    (
        ("Work", _WORK),
        ("What holds them", _TROUBLE),
        ("Models in use", _MODELS),
        ("Processes", processes("scorer")),
    ),
    (Variable("product", "scorer_model_version"),),
)
