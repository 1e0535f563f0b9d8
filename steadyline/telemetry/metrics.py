"""The health of a process as metrics: which part of it waits, and when the certificates end that it reads."""

from typing import Literal, get_args

from steadyline.telemetry.instrument import gauge

READY = gauge(
    "health_part_ready_info",
    "1 while this part of the process is ready, otherwise 0; `/readyz` says what it waits for.",
    labels=("part",),
)
LIVE = gauge(
    "health_live_info",
    "1 while every task of the process advances, otherwise 0; `/livez` names those that are silent.",
)

CertificateEdge = Literal["kafka", "kafka_issuer", "redis", "triton", "postgresql", "otlp", "deliveries"]
_OF_A_FILE = {"edge": get_args(CertificateEdge), "role": ("authority", "certificate")}
CERTIFICATE_STARTS = gauge(
    "certificate_starts_timestamp_seconds",
    "Since when the certificate is valid whose end `certificate_ends_timestamp_seconds` tells, in seconds "
    "since 1970.",
    labels=_OF_A_FILE,
)
CERTIFICATE_ENDS = gauge(
    "certificate_ends_timestamp_seconds",
    "When the certificate of a file ends, in seconds since 1970: the file of the `authority` that the "
    "process believes at an edge, or of the `certificate` that it shows there. Only files that are set are "
    "measured, once a minute.",
    labels=_OF_A_FILE,
)
