"""A collector for a plant: a real one takes its configuration, and a line pushes through it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from steadyline.servers import Addresses
from steadyline.service import EXIT_OK
from tests.support.eventually import eventually
from tests.support.otlp_collector import Collector, collecting
from tests.support.plant_collector import FOLDER, PlantCollector, otelcol, plant_collector, validate
from tests.support.scorer_line import ScorerLine

FRAMES = 5  # of each of the four cameras
TLS = {"COLLECTOR_CERTIFICATE": "/c.pem", "COLLECTOR_KEY": "/k.pem", "COLLECTOR_CLIENT_CA": "/ca.pem"}


def test_a_collector_takes_the_configuration() -> None:
    assert validate(FOLDER / "config.yaml") == (0, "")


def test_a_collector_takes_it_with_certificates() -> None:
    assert validate(FOLDER / "config.yaml", FOLDER / "tls.yaml", **TLS) == (0, "")


def test_a_word_that_the_collector_does_not_know_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text((FOLDER / "config.yaml").read_text().replace("limit_mib", "limit_mb", 1))
    status, said = validate(wrong)
    assert status != 0
    assert "limit_mb" in said


@pytest.fixture
def floor(tmp_path: Path, addresses: Addresses) -> Iterator[ScorerLine]:
    """A line of its own on the shared servers, with cameras that end."""
    made = ScorerLine(tmp_path, addresses, f"synthetic:?fps=20&size=32&limit={FRAMES}")
    yield made
    made.close()


@pytest.fixture
def backend() -> Iterator[Collector]:
    """Where the collector hands traces on to."""
    with collecting() as made:
        yield made


@pytest.fixture
def collector(tmp_path: Path, backend: Collector) -> Iterator[PlantCollector]:
    """A real collector."""
    with plant_collector(tmp_path / "collector.log", backend.url) as made:
        yield made


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    """Skip before servers are started for nothing."""
    otelcol()


@pytest.mark.servers
def test_a_lines_traces_and_metrics_go_through_the_collector(
    floor: ScorerLine, collector: PlantCollector, backend: Collector
) -> None:
    told = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_METRIC_EXPORT_INTERVAL": "500",
        "OTEL_BSP_SCHEDULE_DELAY": "300",
        "OTEL_RESOURCE_ATTRIBUTES": f"line={floor.name}",
    }
    floor.put_in_service()
    scorer = floor.start("a", **told)
    assert floor.start_producers(**told).wait() == EXIT_OK
    total = FRAMES * len(floor.cameras)
    floor.until_scored(total)
    of_scorer = {"job": "scorer", "line": floor.name}

    eventually(
        lambda: collector.series("scorer_frames_scored_total", **of_scorer) == total, 30, "its metrics"
    )
    assert collector.series("producers_frames_captured_total", job="producers", line=floor.name) == total
    assert collector.series("scorer_capture_to_score_seconds_bucket", le="+Inf", **of_scorer) == total
    assert collector.series("health_part_ready_info", part="start", **of_scorer) == 1
    assert scorer.stop() == EXIT_OK

    eventually(lambda: len(backend.named("scorer", "score")) == total, 30, "its traces")
    captures = {span.span_id: span for span in backend.named("producers", "capture")}
    scores = backend.named("scorer", "score")
    assert {captures[span.parent_id].trace_id for span in scores} == {span.trace_id for span in scores}
    assert len(captures) == total
