"""The dashboard of training and of the models in service."""

from tools.dashboards.expressions import chosen, in_an_hour, rate
from tools.dashboards.panel import Dashboard, Panel, Query, Variable
from tools.dashboards.processes import processes

_PRODUCT = 'product=~"$product"'
_NO_TRAINING = "no training ended within the hour."
_NO_PAIRS = "not every such defect was asked yet, or the version in service was trained without them."


def _gauge(metric: str, by: str = "product", function: str = "max") -> str:
    return f"{function} by ({by}) ({chosen(metric, _PRODUCT)})"


_SERVICE = (
    Panel(
        "Version in service",
        "As the trainer announced it.",
        (Query(_gauge("trainer_live_version"), "{{product}}"),),
        unit="none",
        kind="stat",
        base="blue",
        runbook="model_promoted",
    ),
    Panel(
        "Sees",
        "1 while the live model finds known pseudo-anomalies, 0 when it counts as blind.",
        (Query(_gauge("trainer_watch_sees_info", function="min"), "{{product}}"),),
        unit="none",
        kind="stat",
        base="red",
        thresholds=((1, "green"),),
        runbook="model_blind",
    ),
    Panel(
        "Served by",
        "Trainers that hold the lease of a product: one.",
        (Query(_gauge("trainer_claim_held_info", function="sum"), "{{product}}"),),
        unit="none",
        kind="stat",
        base="red",
        thresholds=((1, "green"), (2, "red")),
        runbook="nobody_trains",
    ),
    Panel(
        "AUROC of the live model",
        "On the gate's held-out frames, clean and under the gate's attack.",
        (
            Query(_gauge("trainer_live_clean_auroc_ratio"), "{{product}} clean"),
            Query(_gauge("trainer_live_attacked_auroc_ratio"), "{{product}} attacked"),
        ),
        unit="percentunit",
        runbook="model_refused",
    ),
    Panel(
        "Pseudo-anomalies found",
        "In the last round of the monitor, by transform.",
        (
            Query(
                _gauge("trainer_watch_detection_ratio", "product, transform", "min"),
                "{{product}} {{transform}}",
            ),
        ),
        unit="percentunit",
        runbook="model_blind",
    ),
    Panel(
        "Defects at the camera's pixels that raise the score",
        "Above the very normal that each was drawn into; chance is half of them.",
        (Query(_gauge("trainer_watch_raised_ratio", function="min"), "{{product}}"),),
        unit="percentunit",
        runbook="model_blind",
        quiet=_NO_PAIRS,
    ),
    Panel(
        "Held-out normals over the threshold",
        "In the last round of the monitor.",
        (Query(_gauge("trainer_watch_false_alarm_ratio"), "{{product}}"),),
        unit="percentunit",
        runbook="false_alarms",
    ),
    Panel(
        "Rounds that failed",
        "Rounds of the monitor within an hour that could not be done.",
        (
            Query(
                in_an_hour("trainer_watch_failures_total", "product, reason", _PRODUCT),
                "{{product}} {{reason}}",
            ),
        ),
        runbook="watch_failing",
        quiet="every round was done.",
    ),
    Panel(
        "Promotions",
        "Versions put in service within an hour, or why not.",
        (
            Query(
                in_an_hour("trainer_promotions_total", "product, outcome", _PRODUCT),
                "{{product}} {{outcome}}",
            ),
        ),
        runbook="promotion_failed",
        quiet=_NO_TRAINING,
    ),
    Panel(
        "Foreign model events",
        "Records within an hour under the product's key that its trainer did not write.",
        (Query(in_an_hour("trainer_foreign_model_events_total", "product", _PRODUCT), "{{product}}"),),
        thresholds=((1, "red"),),
        runbook="foreign_model_events",
        quiet="nobody else writes there.",
    ),
    Panel(
        "Refused packages",
        "Packages within an hour that are unsigned, changed or hold a file too many, by reason.",
        (Query(in_an_hour("trainer_packages_refused_total", "reason"), "{{reason}}"),),
        thresholds=((1, "red"),),
        quiet="every package is as it was signed.",
    ),
)
_TRAINING = (
    Panel(
        "Progress",
        "How far the running training is; 0 when none runs.",
        (Query(_gauge("trainer_training_progress_ratio"), "{{product}}"),),
        unit="percentunit",
    ),
    Panel(
        "Trainings",
        "Trainings that ended within an hour, by how.",
        (
            Query(
                in_an_hour("trainer_trainings_total", "product, outcome", _PRODUCT), "{{product}} {{outcome}}"
            ),
        ),
        runbook="training_failed",
        quiet=_NO_TRAINING,
    ),
    Panel(
        "Jobs that wait",
        "Times within an hour that the Job of a training began to wait, by the word of Kubernetes.",
        (
            Query(
                in_an_hour("trainer_training_waits_total", "product, reason", _PRODUCT),
                "{{product}} {{reason}}",
            ),
        ),
        runbook="training_failed",
        quiet="trainings are children of the trainer, or found their place at once.",
    ),
    Panel(
        "Time of a training, median",
        "From the order to the decision, restarts included.",
        (
            Query(
                "histogram_quantile(0.5, sum by (le, product) (increase("
                f"{chosen('trainer_training_duration_seconds_bucket', _PRODUCT)}[1d])))",
                "{{product}}",
            ),
        ),
        unit="s",
        quiet="no training ended within the day.",
    ),
    Panel(
        "Decisions of the gate",
        "Within an hour; the word is the refusal's reason, or passed.",
        (
            Query(
                in_an_hour("trainer_gate_decisions_total", "product, word", _PRODUCT), "{{product}} {{word}}"
            ),
        ),
        runbook="model_refused",
        quiet=_NO_TRAINING,
    ),
    Panel(
        "Commands",
        "Answered within an hour.",
        (
            Query(
                in_an_hour("trainer_commands_total", "product, action, outcome", _PRODUCT),
                "{{product}} {{action}} {{outcome}}",
            ),
        ),
        quiet="nobody gave a command.",
    ),
    Panel(
        "Commands passed over",
        "Records within an hour that are no command to a product of this line.",
        (Query(in_an_hour("trainer_commands_passed_over_total", "reason"), "{{reason}}"),),
        quiet="every record was a command.",
    ),
    Panel(
        "Waits",
        "Attempts within an hour that were held back because something outside was away.",
        (
            Query(
                in_an_hour("trainer_transient_errors_total", "product, reason", _PRODUCT),
                "{{product}} {{reason}}",
            ),
        ),
        runbook="redis_away",
        quiet="everything answered.",
    ),
    Panel(
        "Banks made again",
        "Within an hour, after a loss.",
        (Query(in_an_hour("trainer_bank_rebuilds_total", "product", _PRODUCT), "{{product}}"),),
        runbook="redis_away",
        quiet="no bank was lost.",
    ),
)
_DATA = (
    Panel(
        "Shift of thresholds",
        "Of each camera, ordered or followed: 1 is from the median of the held-out normals to the threshold.",
        (
            Query(
                _gauge("trainer_threshold_shift_ratio", "product, camera"),
                "{{product}} {{camera}}",
            ),
        ),
        unit="none",
        runbook="score_drift",
        quiet="no product of the line has watch.follow.",
    ),
    Panel(
        "Thresholds that follow their stream",
        "Looks at cameras within an hour, by outcome.",
        (
            Query(
                in_an_hour("trainer_following_looks_total", "product, outcome", _PRODUCT),
                "{{product}} {{outcome}}",
            ),
        ),
        runbook="score_drift",
        quiet="no look was due.",
    ),
    Panel(
        "Normals of the stream",
        "In quarantine, or admitted to the next training.",
        (Query(_gauge("trainer_reservoir_frames", "product, state"), "{{product}} {{state}}"),),
    ),
    Panel(
        "Normals not kept",
        "A second, by why.",
        (
            Query(
                rate("trainer_reservoir_dropped_total", "product, reason", _PRODUCT), "{{product}} {{reason}}"
            ),
        ),
        unit="cps",
        quiet="only a line that keeps normals of its stream has them.",
    ),
    Panel(
        "Labelled frames",
        "By what became of their pictures.",
        (
            Query(
                _gauge("trainer_labels_frames", "product, label, picture"),
                "{{product}} {{label}} {{picture}}",
            ),
        ),
    ),
    Panel(
        "Labelled frames left out",
        "Not kept because so many newer ones are.",
        (Query(_gauge("trainer_labels_left_out_frames"), "{{product}}"),),
    ),
    Panel(
        "Labels and incidents forgotten",
        "Within an hour, because more came than are remembered.",
        (
            Query(
                in_an_hour("trainer_judgements_forgotten_total", "product, kind", _PRODUCT),
                "{{product}} {{kind}}",
            ),
        ),
    ),
    Panel(
        "Labels and alerts not believed",
        "Within an hour, by why.",
        (Query(in_an_hour("trainer_judgements_refused_total", "kind, reason"), "{{kind}} {{reason}}"),),
        runbook="foreign_model_events",
        quiet="all were believed.",
    ),
    Panel(
        "Scores not read",
        "Within an hour, by why.",
        (Query(in_an_hour("trainer_scores_refused_total", "reason"), "{{reason}}"),),
        runbook="foreign_model_events",
        quiet="all were read.",
    ),
)

TRAINER_DASHBOARD = Dashboard(
    "trainer",
    "trainer and models",
    "The models in service, what the monitor sees of them, trainings, the gate, and what is trained on.",
    (
        ("In service", _SERVICE),
        ("Training", _TRAINING),
        ("What is trained on", _DATA),
        ("Processes", processes("trainer")),
    ),
    (Variable("product", "trainer_claim_held_info"),),
)
