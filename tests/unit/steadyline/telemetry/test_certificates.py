"""When the certificates of a process end is a metric, follows a rotation, and no field is forgotten."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import FilePath
from pydantic.fields import FieldInfo

from alerts.config import AlertsSettings, own_certificates
from steadyline.ops.doctor.certificates import look_at_certificates
from steadyline.ops.doctor.finding import Report
from steadyline.settings import SHARED, KafkaSettings, TelemetrySettings, TritonSettings
from steadyline.telemetry.certificates import (
    VARIABLES,
    CertificateFile,
    CertificateUnreadable,
    certificate_files,
    watched_certificates,
)
from steadyline.telemetry.export import Metrics, start_metrics
from tests.support.certificates import VALID, CertificateAuthority
from tests.support.eventually import eventually

NOW = datetime.now(UTC)


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path)


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    made = start_metrics("test", TelemetrySettings())
    yield made
    made.stop()


def path_fields() -> Iterator[str]:
    """Yield the variables of files of all shared settings."""
    for cls in SHARED:
        for name, field in cls.model_fields.items():
            if is_a_file(field):
                yield f"{cls.model_config.get('env_prefix', '')}{name}".upper()


def is_a_file(field: FieldInfo) -> bool:
    return field.annotation == FilePath | None


def test_every_file_of_the_shared_settings_is_a_key_or_has_its_edge() -> None:
    files = set(path_fields())
    assert {name for name in files if "KEY" not in name} == set(VARIABLES)


def test_the_files_that_are_set_are_found_with_their_edge(authority: CertificateAuthority) -> None:
    own = authority.client("line")
    triton = TritonSettings(
        security_protocol="SSL",
        ssl_ca_location=authority.ca,
        ssl_certificate_location=own.certificate,
        ssl_key_location=own.key,
    )
    assert certificate_files(KafkaSettings(), triton, TelemetrySettings()) == [
        CertificateFile("triton", "authority", authority.ca),
        CertificateFile("triton", "certificate", own.certificate),
    ]


def test_those_of_the_database_are_found_in_its_address(tmp_path: Path) -> None:
    address = "postgresql+psycopg://u@db/line?sslmode=verify-full&sslrootcert=/ca.pem&sslcert=/own.pem"
    settings = AlertsSettings.model_validate({"database": address, "ca_file": tmp_path / "plant.pem"})
    assert own_certificates(settings) == [
        CertificateFile("postgresql", "certificate", Path("/own.pem")),
        CertificateFile("postgresql", "authority", Path("/ca.pem")),
        CertificateFile("deliveries", "authority", tmp_path / "plant.pem"),
    ]
    system = address.replace("/ca.pem", "system").replace("&sslcert=/own.pem", "")
    assert own_certificates(AlertsSettings.model_validate({"database": system})) == []


def test_of_several_authorities_the_first_that_has_not_ended_counts_and_of_a_chain_the_first_to_end(
    authority: CertificateAuthority, tmp_path: Path
) -> None:
    ended = authority.client("ended", is_expired=True).certificate.read_bytes()
    both = tmp_path / "both.pem"
    both.write_bytes(ended + authority.ca.read_bytes())
    assert CertificateFile("kafka", "authority", both).life(NOW).ends > NOW
    assert CertificateFile("kafka", "certificate", both).life(NOW).ends < NOW
    both.write_bytes(ended)
    assert CertificateFile("kafka", "authority", both).life(NOW).ends < NOW


@pytest.mark.parametrize("content", [b"", b"no certificate", None])
def test_what_is_no_certificate_is_said_with_the_file(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CertificateUnreadable, match=r"ca\.pem cannot be read as certificates"):
        CertificateFile("kafka", "authority", path).life(NOW)


def test_the_end_is_a_metric_of_the_process_and_what_cannot_be_read_stops_nothing(
    authority: CertificateAuthority, metrics: Metrics, tmp_path: Path
) -> None:
    files = [
        CertificateFile("redis", "authority", tmp_path / "none.pem"),
        CertificateFile("kafka", "authority", authority.ca),
    ]
    with watched_certificates(files):
        told = eventually(lambda: ends(metrics), within=30)
    assert told is not None
    assert abs(told - (NOW + VALID).timestamp()) < timedelta(hours=1).total_seconds()


def ends(metrics: Metrics) -> float | None:
    """Return the one end that is exported; None before it is."""
    rows = [row for row in metrics.text().decode().splitlines() if row.startswith("certificate_ends_")]
    assert all('edge="kafka",role="authority"' in row for row in rows)
    return float(rows[0].rsplit(" ", 1)[1]) if rows else None


def test_the_doctor_names_what_ends_and_leaves_alone_what_lives_for_a_day(
    authority: CertificateAuthority, tmp_path: Path
) -> None:
    report = Report()
    files = [
        CertificateFile("kafka", "authority", authority.ca),
        CertificateFile("kafka", "certificate", authority.client("old", is_expired=True).certificate),
        CertificateFile("redis", "certificate", tmp_path / "none.pem"),
    ]
    look_at_certificates(files, NOW, report)
    states = {finding.check: finding.state for finding in report.findings}
    assert states == {
        "authority of kafka": "ok",
        "certificate of kafka": "failed",
        "certificate of redis": "failed",
    }
    look_at_certificates(files[:1], NOW + VALID * 0.95, report)
    assert report.findings[-1].state == "failed"
