"""A secret that would leave this machine in clear ends each service at its start, before it asks a server."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from steadyline.service import EXIT_USAGE
from tests.support.service_process import ServiceProcess

WORD = "hunter2secret"
LINE = "line: test\ntopics: {prefix: test}\nproducts: {tile: {}}\n"

# service → what is set, and what is said; no server is there, so that nobody who gets further says this.
CASES: Mapping[str, tuple[list[str], dict[str, str], str]] = {
    "the trainer's Redis": (
        ["trainer", "run"],
        {"REDIS_URL": f"redis://op:{WORD}@cache.plant:6379/0"},
        "the password in REDIS_URL would go over the network in clear",
    ),
    "the alerts' Redis": (
        ["alerts", "run"],
        {"REDIS_URL": f"redis://op:{WORD}@cache.plant:6379/0"},
        "REDIS_ALLOW_CLEAR_PASSWORD to true",
    ),
    "the alerts' database": (
        ["alerts", "run"],
        {"ALERTS_DATABASE": f"postgresql+psycopg://op:{WORD}@db.plant/line"},
        "ALERTS_ALLOW_CLEAR_DATABASE to true",
    ),
    "the database of the migration": (
        ["alerts", "migrate"],
        {"ALERTS_DATABASE": f"postgresql+psycopg://op:{WORD}@db.plant/line?sslmode=require"},
        "?sslmode=verify-full",
    ),
    "the mail server": (
        ["alerts", "run"],
        {
            "ALERTS_MAIL_HOST": "mail.plant",
            "ALERTS_MAIL_SECURITY": "none",
            "ALERTS_MAIL_PASSWORD": WORD,
        },
        "ALERTS_ALLOW_CLEAR_MAIL to true",
    ),
    "the trainer's Triton": (
        ["trainer", "run"],
        {"TRITON_URL": "triton.plant:8001", "TRITON_ADMIN_KEY": WORD},
        "TRITON_ALLOW_CLEAR_KEY to true",
    ),
    "Kafka": (
        ["producers", "run"],
        {
            "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "KAFKA_SASL_MECHANISM": "PLAIN",
            "KAFKA_SASL_USERNAME": "op",
            "KAFKA_SASL_PASSWORD": WORD,
        },
        "PLAIN would send its secret unencrypted",
    ),
    "the collector": (
        ["scorer", "run"],
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://traces.plant:4318",
            "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization={WORD}",
        },
        "STEADYLINE_ALLOW_CLEAR_OTLP to true",
    ),
}


def ended(arguments: list[str], environment: Mapping[str, str], folder: Path) -> tuple[int, str]:
    """Start a service that ends by itself; return its status and all it wrote."""
    line = folder / "line.yaml"
    there = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = ServiceProcess(
        arguments, {**there, "STEADYLINE_LINE": str(line), **environment}, folder / "log"
    )
    process.start()
    return process.wait(), process.text()


@pytest.mark.parametrize("case", CASES)
def test_a_secret_in_clear_ends_the_service_with_the_setting_that_allows_it(
    case: str, tmp_path: Path
) -> None:
    arguments, environment, told = CASES[case]
    (tmp_path / "line.yaml").write_text(LINE)
    status, said = ended(arguments, environment, tmp_path)
    assert status == EXIT_USAGE, said
    assert told in said
    assert WORD not in said
