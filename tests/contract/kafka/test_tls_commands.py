"""What people see of a locked broker: commands and services that are let in, and those that are not."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from steadyline.servers.ports import free_ports
from steadyline.service import EXIT_FAILED, EXIT_FATAL, EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE
from tests.support.secured_kafka import PASSWORD, SecuredKafka

pytestmark = pytest.mark.servers

SECRET = "0-secret-of-nobody"


@pytest.fixture
def line(tmp_path: Path) -> Path:
    path = tmp_path / "line.yaml"
    prefix = f"t{uuid.uuid4().hex[:8]}"
    path.write_text(f"line: t\ntopics: {{prefix: {prefix}, partitions: 1}}\nproducts: {{cell: {{}}}}\n")
    return path


def run(line: Path, variables: dict[str, str], *command: str) -> tuple[int, str]:
    """Run ``python -m COMMAND`` on a line; return its exit status and all that it printed."""
    others = ("KAFKA_", "TRITON_ADMIN_KEY")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    environment |= {**variables, "COLUMNS": "200", "STEADYLINE_LOG_FORMAT": "json"}
    done = subprocess.run(
        [sys.executable, "-P", "-m", *command, "--line", str(line)],
        cwd=line.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    said = done.stdout + done.stderr
    assert SECRET not in said
    assert PASSWORD not in said
    assert "Traceback" not in said
    return done.returncode, said


def test_topics_are_made_and_checked_with_an_identity(locked: SecuredKafka, line: Path) -> None:
    assert run(line, locked.variables("MTLS"), "steadyline", "topics", "create")[0] == EXIT_OK
    status, said = run(line, locked.variables("OAUTH"), "steadyline", "topics", "check")
    assert (status, "all is well" in said) == (EXIT_OK, True), said


def test_a_command_ends_with_what_to_do(locked: SecuredKafka, line: Path) -> None:
    (port,) = free_ports(1)
    check = ("steadyline", "topics", "check")
    cases = (
        (locked.variables("SCRAM", KAFKA_SASL_PASSWORD=SECRET), EXIT_FATAL, "check KAFKA_SASL_USERNAME"),
        (
            locked.variables("OAUTH", KAFKA_OAUTH_TOKEN_URL=f"https://127.0.0.1:{port}/token"),
            EXIT_UNAVAILABLE,
            "KAFKA_OAUTH_TOKEN_URL",
        ),
        (locked.variables("MTLS", KAFKA_SSL_KEY_LOCATION=""), EXIT_USAGE, "KAFKA_SSL_KEY_LOCATION is not"),
    )
    for variables, expected, text in cases:
        status, said = run(line, variables, *check)
        assert (status, text in said) == (expected, True), said


def test_a_service_that_is_not_let_in_ends_at_its_start(locked: SecuredKafka, line: Path) -> None:
    status, said = run(line, locked.variables("OAUTH", KAFKA_OAUTH_CLIENT_SECRET=SECRET), "scorer", "run")
    assert status == EXIT_FATAL, said
    ended = next(json.loads(text) for text in said.splitlines() if '"scorer_ended"' in text)
    assert "Kafka: the issuer of tokens refuses the client (invalid_client)" in ended["error"]


def test_the_doctor_names_the_edge_and_goes_on(locked: SecuredKafka, line: Path) -> None:
    (port,) = free_ports(1)
    away = {"REDIS_URL": f"redis://127.0.0.1:{port}/0", "TRITON_URL": f"127.0.0.1:{port}"}
    variables = locked.variables("MTLS", KAFKA_SSL_CERTIFICATE_LOCATION="", KAFKA_SSL_KEY_LOCATION="")
    status, said = run(line, variables | away, "steadyline", "doctor")
    assert status == EXIT_FAILED, said
    assert "set KAFKA_SSL_CERTIFICATE_LOCATION" in said.replace("\n", " ")
    assert "Redis" in said
