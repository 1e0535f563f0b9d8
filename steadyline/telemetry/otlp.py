"""OTLP over HTTP: whom to believe, who one is, and one word when the collector refuses."""

from typing import Any

import requests
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.util.re import parse_env_headers
from typing_extensions import override

from steadyline.address import shown, without_address
from steadyline.settings import TelemetrySettings
from steadyline.telemetry.logs import get_logger

EXPORT_SECONDS = 5  # for one attempt with its retries

_REFUSED = 300  # and all above: where a collector sends us elsewhere we do not go
_AT_ONCE = 2  # a kept connection may have been closed meanwhile: one failure alone says nothing
_MEND = (
    "see that OTEL_EXPORTER_OTLP_ENDPOINT is the collector's, OTEL_EXPORTER_OTLP_CERTIFICATE the authority "
    "that signed its certificate, and that it takes OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and "
    "OTEL_EXPORTER_OTLP_HEADERS"
)

log = get_logger(__name__)


def span_exporter(settings: TelemetrySettings) -> OTLPSpanExporter | None:
    """Return what sends spans; None without an endpoint."""
    endpoint = _endpoint(settings, "traces")
    return None if endpoint is None else OTLPSpanExporter(endpoint, **_options(settings, endpoint))


def metric_exporter(settings: TelemetrySettings) -> OTLPMetricExporter | None:
    """Return what sends metrics; None without an endpoint."""
    endpoint = _endpoint(settings, "metrics")
    return None if endpoint is None else OTLPMetricExporter(endpoint, **_options(settings, endpoint))


def _endpoint(settings: TelemetrySettings, signal: str) -> str | None:
    given = settings.otel_exporter_otlp_endpoint
    return None if given is None else f"{given.get_secret_value().rstrip('/')}/v1/{signal}"


def _options(settings: TelemetrySettings, endpoint: str) -> dict[str, Any]:
    """Return what both exporters take; where nothing is set the SDK reads its own variables."""
    headers = settings.otel_exporter_otlp_headers
    return {
        "certificate_file": _path(settings.otel_exporter_otlp_certificate),
        "client_certificate_file": _path(settings.otel_exporter_otlp_client_certificate),
        "client_key_file": _path(settings.otel_exporter_otlp_client_key),
        "headers": None if headers is None else parse_env_headers(headers.get_secret_value(), liberal=True),
        "timeout": EXPORT_SECONDS,
        "session": _WatchedSession(endpoint),
    }


def _path(given: object) -> str | None:
    return None if given is None else str(given)


class _WatchedSession(requests.Session):
    """Says once that the collector refuses or does not answer, and once that it takes what is sent again.

    It never raises more than requests does: what cannot be sent is dropped, and the service goes on.
    """

    def __init__(self, endpoint: str) -> None:
        super().__init__()
        self._endpoint, self._failures = endpoint, 0

    @override
    def request(self, *arguments: Any, **options: Any) -> requests.Response:
        if self.verify is not True:  # requests would let REQUESTS_CA_BUNDLE win over what was set for OTLP
            options["verify"] = self.verify
        try:
            answer = super().request(*arguments, **options)
        except (requests.RequestException, OSError) as error:  # OSError: a certificate is not there
            self._failed(without_address(str(error), self._endpoint), 1)
            raise
        if answer.status_code < _REFUSED:
            self._went_well()
        else:
            self._failed(f"{answer.status_code} {answer.reason}", _AT_ONCE)
        return answer

    def _failed(self, problem: str, weight: int) -> None:
        was_said = self._failures >= _AT_ONCE
        self._failures += weight
        if not was_said and self._failures >= _AT_ONCE:
            log.warning("otlp_refused", endpoint=shown(self._endpoint), problem=problem[:300], mend=_MEND)

    def _went_well(self) -> None:
        if self._failures >= _AT_ONCE:
            log.info("otlp_taken_again", endpoint=shown(self._endpoint))
        self._failures = 0
