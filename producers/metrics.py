"""Every metric of the producers."""

from producers import reasons
from steadyline.telemetry.instrument import counter, gauge, histogram

CAPTURED = counter(
    "producers_frames_captured_total", "Frames captured, dropped ones included.", labels=("camera",)
)
PUBLISHED = counter(
    "producers_frames_published_total", "Frames the broker has acknowledged.", labels=("camera",)
)
DROPPED = counter(
    "producers_frames_dropped_total",
    "Frames captured and never published, by reason.",
    labels={
        "camera": None,
        "reason": tuple(reasons.DROPPED),
    },
)
PENDING = gauge(
    "producers_pending_frames",
    "Frames captured whose fate is open: queued, spooled, in flight.",
    labels=("camera",),
)
PUBLISHED_BYTES = counter(
    "producers_published_bytes_total",
    "Bytes of the pictures the broker has acknowledged.",
    labels=("camera",),
)
PUBLISH_SECONDS = histogram(
    "producers_publish_duration_seconds",
    "From handing a frame to the publisher to its acknowledgement.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
BUFFER_BYTES = gauge(
    "producers_buffer_bytes", "Bytes waiting in memory or, with spool, on disk.", labels=("camera",)
)
RECONNECTS = counter(
    "producers_reconnects_total",
    "Times a camera was lost and is tried again, by reason.",
    labels={
        "camera": None,
        "reason": tuple(reasons.LOST),
    },
)
UP = gauge("producers_camera_up", "1 while the camera's state is up, otherwise 0.", labels=("camera",))
QUALITY_SECONDS = histogram(
    "producers_quality_check_duration_seconds",
    "Time of one quality check: a reduced decode and four figures.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
