"""OTLP over TLS to a real receiver: whom a process believes, who it is, and what it says of a refusal."""

import io
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

import pytest

from steadyline.clock import SystemClock
from steadyline.kafka.metrics import HELD
from steadyline.settings import TelemetrySettings
from steadyline.telemetry import telemetry
from steadyline.telemetry.export import start_metrics
from steadyline.telemetry.tracing import configure_tracing, start_span, stop_tracing
from tests.support.certificates import CertificateAuthority
from tests.support.eventually import eventually
from tests.support.otlp_collector import Collector, collecting

TOKEN = "Bearer marked-otlp-token"


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path / "certificates")


@contextmanager
def receiving(authority: CertificateAuthority) -> Iterator[Collector]:
    """A receiver that asks each client for a certificate of the authority."""
    own = authority.server("collector")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(own.certificate, own.key)
    with collecting(context) as made:
        yield made


def variables(collector: Collector, authority: CertificateAuthority) -> dict[str, str]:
    """Return the standard variables of a process that such a receiver takes."""
    own = authority.client("telemetry")
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(authority.ca),
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(own.certificate),
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(own.key),
        "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization={TOKEN.replace(' ', '%20')}",
        "STEADYLINE_LOG_FORMAT": "json",
    }


def settings_of(given: dict[str, str]) -> TelemetrySettings:
    return TelemetrySettings.model_validate({name.lower(): value for name, value in given.items()})


def test_spans_and_metrics_arrive_over_mutual_tls_with_their_token(authority: CertificateAuthority) -> None:
    with receiving(authority) as collector:
        collector.token = TOKEN
        settings = settings_of(variables(collector, authority))
        configure_tracing("tls", settings)
        start_span("capture").end()
        stop_tracing()
        metrics = start_metrics("tls", settings)
        HELD.add(3, reason="backpressure")
        metrics.stop()
        assert [span.name for span in collector.spans] == ["capture"]
        assert collector.metric("tls", "loop_held", reason="backpressure") == 3


def test_certificates_that_were_replaced_are_taken_up_by_the_next_connection(
    authority: CertificateAuthority, tmp_path: Path
) -> None:
    with receiving(authority) as collector:
        settings = settings_of(variables(collector, authority))
    metrics = start_metrics("tls", settings)  # nothing answers there any more
    HELD.add(1, reason="backpressure")
    another = CertificateAuthority(tmp_path / "certificates")  # in the place of the first
    another.client("telemetry")
    own = another.server("collector")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=another.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(own.certificate, own.key)
    with collecting(context, int(collector.url.rsplit(":", 1)[1])) as collector:
        metrics.stop()
        assert collector.metric("tls", "loop_held", reason="backpressure") == 1


REFUSED = {
    "another authority": ("CERTIFICATE_VERIFY_FAILED", "OTEL_EXPORTER_OTLP_CERTIFICATE"),
    "no certificate": ("", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"),
    "a wrong token": ("401", "OTEL_EXPORTER_OTLP_HEADERS"),
}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_a_refusal_is_said_once_and_stops_no_service(
    authority: CertificateAuthority, tmp_path: Path, case: str
) -> None:
    with receiving(authority) as collector:
        collector.token = "another" if case == "a wrong token" else ""
        given = variables(collector, authority) | {"OTEL_METRIC_EXPORT_INTERVAL": "300"}
        if case == "another authority":
            given["OTEL_EXPORTER_OTLP_CERTIFICATE"] = str(CertificateAuthority(tmp_path, "other").ca)
        if case == "no certificate":
            del given["OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"], given["OTEL_EXPORTER_OTLP_CLIENT_KEY"]
        printed = io.StringIO()
        with redirect_stderr(printed), telemetry("tls", settings_of(given), SystemClock()):
            HELD.add(1, reason="backpressure")
            eventually(lambda: "otlp_refused" in printed.getvalue(), 6, "it is said")
            count = collector.requests
            eventually(lambda: collector.requests > count + 2 or case != "a wrong token", 6, "it goes on")
        (said,) = [line for line in printed.getvalue().splitlines() if "otlp_refused" in line]
        problem, mend = REFUSED[case]
        assert problem in json.loads(said)["problem"]
        assert mend in json.loads(said)["mend"]
        assert "marked-otlp-token" not in printed.getvalue()
        assert collector.points == {}
