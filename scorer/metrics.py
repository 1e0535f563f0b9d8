"""Every metric of the scorer; transactions, dead letters and commit times are the core's."""

from steadyline.telemetry.instrument import counter, gauge, histogram

SCORED = counter(
    "scorer_frames_scored_total",
    "Frames with a score on its way to the topic, by verdict.",
    labels={"product": None, "verdict": ("normal", "anomalous")},
)
BATCH = histogram(
    "scorer_batch_frames", "Frames in one request.", labels=("product",), buckets=(1, 2, 4, 8, 16, 32, 64)
)
STAGE_SECONDS = histogram(
    "scorer_stage_duration_seconds",
    "Time of one stage: decode and prepare per frame, infer per request, finish per batch.",
    labels={"stage": ("decode", "prepare", "infer", "finish")},
    buckets=(0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
CAPTURE_TO_SCORE = histogram(
    "scorer_capture_to_score_seconds",
    "From the capture of a frame to its score.",
    labels=("product",),
    buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30, 60, 300),
)
INFERENCE_FAILURES = counter(
    "scorer_inference_failures_total",
    "Requests that failed; their frames are held and asked again, of the version then in use.",
    labels={"product": None, "reason": ("inference_unavailable", "contract_broken")},
)
HELD = counter(
    "scorer_held_total",
    "Times frames were held back and tried again later, by reason word; none is ever skipped.",
    labels={
        "product": None,
        "reason": (
            "inference_unavailable",
            "contract_broken",
            "no_live_model",
            "wrong_answer",
            "store_unavailable",
        ),
    },
)
IN_HAND = gauge("scorer_in_hand_frames", "Frames taken and not yet scored.")
IN_HAND_BYTES = gauge("scorer_in_hand_bytes", "Bytes of the pictures of those frames, encoded and prepared.")
LAG = gauge(
    "scorer_lag_frames", "Frames on the topic that the group has not committed.", labels=("partition",)
)
LAG_FAILURES = counter(
    "scorer_lag_failures_total", "Times the lag could not be asked for.", labels=("reason",)
)
MODEL_VERSION = gauge("scorer_model_version", "Version in use; 0 while there is none.", labels=("product",))
THRESHOLD_VERSION = gauge("scorer_threshold_version", "Thresholds in use; 0 as above.", labels=("product",))
SWAPS = counter(
    "scorer_swaps_total",
    "Live versions probed before use, by how that ended.",
    labels={
        "product": None,
        "outcome": ("swapped", "wrong_answer", "inference_unavailable", "withdrawn"),
    },
)
PROMISED = gauge(
    "scorer_promised_false_alarm_ratio",
    "Share of good frames that may be called anomalous, as the line file promises it.",
    labels=("product",),
)
STATION_FRAMES = counter(
    "scorer_station_frames_total",
    "Frames that the calibration of their camera's station has put right.",
    labels=("product", "camera"),
)
STATION_CLIPPED = counter(
    "scorer_station_clipped_pixels_total",
    "Values of prepared frames (one for each pixel and channel) that that correction cut at black or white.",
    labels=("product", "camera"),
)
CANARY = gauge(
    "scorer_canary_ok_info",
    "1 while the model in use gives its known answers, otherwise 0.",
    labels=("product",),
)
CANARY_SECONDS = histogram(
    "scorer_canary_duration_seconds",
    "Time of one canary inference.",
    labels=("product",),
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
EVENTS_IGNORED = counter(
    "scorer_model_events_ignored_total",
    "Model events not acted on, by reason word.",
    labels=("reason",),
)
EVIDENCE_BYTES = counter(
    "scorer_evidence_bytes_total",
    "Bytes written to the store.",
    labels={"product": None, "kind": ("picture", "map")},
)
