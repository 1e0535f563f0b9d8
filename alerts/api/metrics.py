"""What is counted of the API."""

from alerts.api.ports import AnsweredRequest
from steadyline.telemetry.instrument import counter, histogram

REQUESTS = counter(
    "alerts_api_requests_total",
    "Requests, by route as declared, method, status and reason word; the reason of a good one is `ok`.",
    labels=("method", "route", "status", "reason"),
)
REQUEST_SECONDS = histogram(
    "alerts_api_request_duration_seconds",
    "Time of one request.",
    labels=("route",),
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)


def count_request(answered: AnsweredRequest) -> None:
    """Count one request that was answered."""
    REQUESTS.add(
        1,
        method=answered.method,
        route=answered.route,
        status=str(answered.status),
        reason=answered.reason,
    )
    REQUEST_SECONDS.record(answered.seconds, route=answered.route)
