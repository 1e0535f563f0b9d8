"""A service that cannot have the credentials of its store says so at its start, within six seconds."""

import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import pytest

from steadyline.service import EXIT_UNAVAILABLE
from tests.support.aws_sts import never_answering
from tests.support.service_process import ServiceProcess

pytest.importorskip("s3fs", reason="the s3 extra is not installed")

WITHIN = 6.0  # seconds, as docs/edges.md promises
# No server is there: who gets past the store says something else.
LINE = "line: test\ntopics: {prefix: test}\nstore: s3://bucket/x\nproducts: {tile: {}}\n"


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """A container whose service of credentials takes a question and never answers."""
    (tmp_path / "line.yaml").write_text(LINE)
    (tmp_path / "models").mkdir()
    with never_answering() as address:
        yield {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "STEADYLINE_LINE": str(tmp_path / "line.yaml"),
            "STEADYLINE_LOG_FORMAT": "json",
            "TRITON_REPOSITORY": str(tmp_path / "models"),
            "TRAINER_WORK": str(tmp_path / "work"),
            "AWS_ENDPOINT_URL": "https://127.0.0.1:9",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{address}/role",
        }


def test_every_service_with_a_store_ends_and_names_it(environment: Mapping[str, str], tmp_path: Path) -> None:
    services = ("scorer", "trainer", "alerts")
    started = {
        name: ServiceProcess([name, "run"], environment, tmp_path / f"{name}.log") for name in services
    }
    for process in started.values():
        process.start()
    for name, process in started.items():
        assert process.wait() == EXIT_UNAVAILABLE, process.tail()
        [ended] = process.said(f"{name}_ended")
        assert ended["reason"] == "store_unavailable"
        assert "s3://bucket/x cannot be opened: no answer within 3 s" in ended["error"]
        assert "who gives this process its AWS credentials, hangs" in ended["error"]
        [began] = process.said("health_server_started")
        moments = [datetime.fromisoformat(row["timestamp"]) for row in (began, ended)]
        assert (moments[1] - moments[0]).total_seconds() < WITHIN
