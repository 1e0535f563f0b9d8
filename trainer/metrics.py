"""Every metric of the trainer."""

from steadyline.telemetry.instrument import counter, gauge, histogram

# Words of Kubernetes for why a pod does not start; any other is "other".
WAITING_REASONS = (
    "Unschedulable",
    "ImagePullBackOff",
    "ErrImagePull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ContainerCreating",
    "FailedCreate",
    "other",
)
PACKAGE_REFUSALS = ("package_rejected", "unsigned_package", "wrong_package_signature")

TRAININGS = counter(
    "trainer_trainings_total",
    "Trainings that ended, by how; one that was left goes on with the next trainer.",
    labels={
        "product": None,
        "outcome": (
            "trained",
            "failed",
            "stopped",
            "left",
            "died",
            "overdue",
            "not_started",
            "refused",
        ),
    },
)
TRAINING_WAITS = counter(
    "trainer_training_waits_total",
    "Times that the Job of a training began to wait, by the word of Kubernetes for why.",
    labels={
        "product": None,
        "reason": WAITING_REASONS,
    },
)
TRAINING_SECONDS = histogram(
    "trainer_training_duration_seconds",
    "From the order of a training to its decision, restarts included.",
    labels=("product",),
    buckets=(30, 60, 120, 240, 480, 960, 1920, 3840, 7680, 15360, 30720),
)
TRAINING_PROGRESS = gauge(
    "trainer_training_progress_ratio",
    "How far the running training is; 0 when none runs.",
    labels=("product",),
)
DECISIONS = counter(
    "trainer_gate_decisions_total",
    "What the gate decided; the word is the refusal's reason, or passed.",
    labels={
        "product": None,
        "word": (
            "passed",
            "clean_worse",
            "robust_worse",
            "corrupted_worse",
            "detection_worse",
            "drifted",
            "daily_limit",
            "clean_floor",
            "blind_at_threshold",
            "sees_nothing",
            "under_certified_floor",
            "masked_gradients",
            "not_finite",
            "labelled_lost",
        ),
    },
)
PROMOTIONS = counter(
    "trainer_promotions_total",
    "Versions put in service, or why not.",
    labels={
        "product": None,
        "outcome": (
            "live",
            "rolled_back",
            "load_failed",
            "load_timeout",
            "wrong_answer",
            "no_answer",
            *PACKAGE_REFUSALS,
            "unknown_licence",
        ),
    },
)
PACKAGES_REFUSED = counter(
    "trainer_packages_refused_total",
    "Packages that did not pass as what was announced and signed, by reason word.",
    labels={"product": None, "reason": PACKAGE_REFUSALS},
)
LIVE_VERSION = gauge("trainer_live_version", "Version in service.", labels=("product",))
CLEAN_AUROC = gauge(
    "trainer_live_clean_auroc_ratio",
    "AUROC of the live model on the gate's held-out frames.",
    labels=("product",),
)
ATTACKED_AUROC = gauge(
    "trainer_live_attacked_auroc_ratio",
    "The same under the gate's attack: the robustness of the model in service.",
    labels=("product",),
)
DETECTION = gauge(
    "trainer_watch_detection_ratio",
    "Pseudo-anomalies that the live model found in the last round, by transform.",
    labels=("product", "transform"),
)
FALSE_ALARMS = gauge(
    "trainer_watch_false_alarm_ratio",
    "Held-out normals over the threshold in the last round.",
    labels=("product",),
)
RAISED = gauge(
    "trainer_watch_raised_ratio",
    "Defects drawn at the camera's pixels that the live model scores above their own normals; chance is 0.5.",
    labels=("product",),
)
SEES = gauge(
    "trainer_watch_sees_info",
    "1 while the live model sees known anomalies, 0 when it counts as blind.",
    labels=("product",),
)
WATCH_FAILURES = counter(
    "trainer_watch_failures_total",
    "Rounds of the watch that could not be done, by reason word.",
    labels=("product", "reason"),
)
RESERVOIR = gauge(
    "trainer_reservoir_frames",
    "Stream normals, in quarantine or admitted.",
    labels={"product": None, "state": ("quarantined", "admitted")},
)
RESERVOIR_DROPPED = counter(
    "trainer_reservoir_dropped_total",
    "Stream normals not kept, by reason word.",
    labels={
        "product": None,
        "reason": (
            "near_anomalous_run",
            "not_sampled",
            "too_old",
            "foreign_picture",
            "unknown_camera",
            "labelled_defect",
            "in_incident",
            "label_withdrawn",
            "not_finite",
        ),
    },
)
FOLLOWING = counter(
    "trainer_following_looks_total",
    "Looks at whether a camera's threshold follows its stream, by outcome.",
    labels={
        "product": None,
        "outcome": (
            "moved",
            "holds",
            "too_few_scores",
            "too_few_hours",
            "detection_lost",
            "no_proof",
            "event_too_large",
        ),
    },
)
THRESHOLD_SHIFT = gauge(
    "trainer_threshold_shift_ratio",
    "Shift of a camera's threshold, ordered or followed; 1 is from the median of held-out normals to it.",
    labels=("product", "camera"),
)
SCORES_REFUSED = counter(
    "trainer_scores_refused_total",
    "Scores that the trainer could not read, by reason word.",
    labels=("reason",),
)
JUDGEMENTS_REFUSED = counter(
    "trainer_judgements_refused_total",
    "Labels and alerts that the trainer did not believe, by reason word.",
    labels={"kind": ("feedback", "alert"), "reason": None},
)
JUDGEMENTS_FORGOTTEN = counter(
    "trainer_judgements_forgotten_total",
    "Labels and incidents given up because more came than are remembered.",
    labels={"product": None, "kind": ("label", "incident")},
)
LABELS = gauge(
    "trainer_labels_frames",
    "Frames that people labelled, by what became of their pictures.",
    labels={
        "product": None,
        "label": ("good", "defect"),
        "picture": ("kept", "unknown", "gone", "changed", "unreadable"),
    },
)
LABELS_TOO_MANY = gauge(
    "trainer_labels_left_out_frames",
    "Labelled frames that are not kept because so many newer ones are.",
    labels=("product",),
)
BANK_REBUILDS = counter(
    "trainer_bank_rebuilds_total",
    "Banks made again after a loss.",
    labels=("product",),
)
FOREIGN_EVENTS = counter(
    "trainer_foreign_model_events_total",
    "Records under the product's key that this trainer did not write while it held the lease.",
    labels=("product",),
)
COMMANDS = counter(
    "trainer_commands_total",
    "Commands answered, by action and by done or refused.",
    labels={
        "product": None,
        "action": ("promote", "rollback", "retrain", "shadow", "calibrate", "uncalibrate"),
        "outcome": ("done", "refused"),
    },
)
COMMANDS_PASSED_OVER = counter(
    "trainer_commands_passed_over_total",
    "Records among the commands that are no command to a product of this line, by reason word.",
    labels=("reason",),
)
HOLDS_LEASE = gauge(
    "trainer_claim_held_info",
    "1 when this trainer serves the product, 0 when another one does.",
    labels=("product",),
)
TRANSIENT_ERRORS = counter(
    "trainer_transient_errors_total",
    "Attempts held back because something outside was away, by reason word.",
    labels=("product", "reason"),
)
