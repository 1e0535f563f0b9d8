"""One frame, one trace, through real processes and over OTLP; and what each process says of itself."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from steadyline.contracts.score import Score
from steadyline.picture import encode_png
from steadyline.servers import Addresses
from steadyline.service import EXIT_OK
from tests.support.eventually import eventually
from tests.support.models import a_plain_picture
from tests.support.otlp_collector import Collector, SeenSpan, collecting
from tests.support.scorer_line import ScorerLine

pytestmark = pytest.mark.servers

FRAMES = 15  # of each of the four cameras


@pytest.fixture
def floor(tmp_path: Path, addresses: Addresses) -> Iterator[ScorerLine]:
    """A line of its own on the shared servers, with cameras that end."""
    made = ScorerLine(tmp_path, addresses, f"synthetic:?fps=20&size=32&limit={FRAMES}")
    yield made
    made.close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector of its own."""
    with collecting() as made:
        yield made


def told_to(url: str) -> dict[str, str]:
    """Return the variables that send everything there soon."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        "OTEL_METRIC_EXPORT_INTERVAL": "500",
        "OTEL_BSP_SCHEDULE_DELAY": "300",
    }


def test_every_frame_is_one_trace_from_its_capture_to_its_score(
    floor: ScorerLine, collector: Collector
) -> None:
    floor.put_in_service()
    scorer = floor.start("a", **told_to(collector.url))
    assert floor.start_producers(**told_to(collector.url)).wait() == EXIT_OK
    total = FRAMES * len(floor.cameras)
    floor.until_scored(total)
    cut_off = floor.send_picture("east-0", encode_png(a_plain_picture(32))[:-16])
    floor.flush()
    floor.until_scored(total + 1)
    eventually(lambda: collector.metric("scorer", "scorer_frames_scored") == total, 10, "its metrics")
    assert scorer.stop() == EXIT_OK

    captures = {span.attributes["frame"]: span for span in collector.named("producers", "capture")}
    scores = {span.attributes["frame"]: span for span in collector.named("scorer", "score")}
    batches = collector.named("scorer", "infer")
    assert len(captures) == len(collector.named("producers", "capture")) == total
    assert scores.keys() == captures.keys() | {cut_off}
    for frame, capture in captures.items():
        assert_one_trace(capture, scores[frame], batches)
    assert len({capture.trace_id for capture in captures.values()}) == total
    assert sum(batch.attributes["frames"] for batch in batches) == total
    assert scores[cut_off].error == "undecodable_picture"
    assert_topics_agree(floor, captures, scores)
    assert_metrics_agree(collector, total)


def assert_one_trace(capture: SeenSpan, score: SeenSpan, batches: list[SeenSpan]) -> None:
    """Check that the score is a child of the capture, and that exactly one batch points to it."""
    assert (capture.parent_id, capture.kind, capture.error) == ("", "producer", "")
    assert (score.trace_id, score.parent_id) == (capture.trace_id, capture.span_id)
    assert (score.kind, score.error) == ("consumer", "")
    assert score.attributes["version"] == 1
    (batch,) = [one for one in batches if (score.trace_id, score.span_id) in one.links]
    assert batch.attributes["version"] == 1
    assert len(batch.links) == batch.attributes["frames"]
    assert score.nanoseconds > batch.nanoseconds > 0


def ids(span: SeenSpan) -> tuple[str, str]:
    return span.trace_id, span.span_id


def ids_of(traceparent: str | None) -> tuple[str, str]:
    """Return the ids of a sampled traceparent."""
    version, trace_id, span_id, flags = (traceparent or "").split("-")
    assert (version, int(flags, 16) & 1) == ("00", 1)
    return trace_id, span_id


def assert_topics_agree(
    floor: ScorerLine, captures: dict[str, SeenSpan], scores: dict[str, SeenSpan]
) -> None:
    """The ids in the headers, and those that ``steadyline trace`` prints, are those of the spans."""
    frames = floor.frames()
    for frame in frames:
        if str(frame.id) in captures:
            assert ids_of(frame.traceparent) == ids(captures[str(frame.id)])
    for record in floor.records:
        traceparent = dict(record.headers)["traceparent"].decode()
        assert ids_of(traceparent) == ids(scores[Score.decode(record.value).frame])
    some = next(iter(captures))
    status, timeline = floor.ask("trace", some)
    assert (status, timeline["fate"], timeline["trace_id"]) == (EXIT_OK, "scored", captures[some].trace_id)


def assert_metrics_agree(collector: Collector, total: int) -> None:
    """What was pushed last tells of everything; each process is told apart from others of its kind."""
    assert collector.metric("producers", "producers_frames_captured") == total
    assert collector.metric("producers", "producers_frames_captured", camera="east-0") == FRAMES
    assert collector.metric("producers", "producers_frames_published") == total
    assert collector.metric("scorer", "scorer_frames_scored") == total
    assert collector.metric("scorer", "scorer_capture_to_score_seconds") == total
    assert collector.metric("scorer", "loop_dead_letters", reason="undecodable_picture") == 1
    assert collector.metric("scorer", "scorer_model_version") == 1
    assert sorted(service for service, _ in collector.instances) == ["producers", "scorer"]


def test_health_pages_say_what_a_scorer_waits_for(floor: ScorerLine) -> None:
    scorer = floor.start("a")
    model = f"model:{floor.product}"
    waiting = {"ready": False, "waiting_for": {model: "no_live_model"}}
    eventually(lambda: scorer.page("readyz") == (503, waiting), 30, scorer.text()[-500:])
    status, live = scorer.page("livez")
    assert (status, live["live"]) == (200, True)
    assert scorer.metric("scorer_model_version", product=floor.product) == 0
    floor.put_in_service()
    eventually(lambda: scorer.page("readyz") == (200, {"ready": True, "waiting_for": {}}), 30)
    assert scorer.metric("scorer_model_version", product=floor.product) == 1
    assert scorer.stop() == EXIT_OK


def test_health_pages_say_that_producers_miss_their_broker(floor: ScorerLine) -> None:
    producers = floor.start_producers(KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1", PRODUCERS_STOP_SECONDS="1")

    def reason() -> str:
        status, ready = producers.page("readyz")
        assert status == 503
        return str(ready["waiting_for"].get("broker", ""))

    eventually(lambda: "127.0.0.1:1" in reason() or "Bootstrap" in reason(), 30, producers.text()[-500:])
    assert producers.page("livez")[0] == 200
    eventually(lambda: producers.metric("producers_frames_captured_total") == FRAMES * 4, 20)


def test_a_collector_that_is_away_costs_no_frame_and_holds_no_exit_for_long(floor: ScorerLine) -> None:
    floor.put_in_service()
    away = told_to("http://127.0.0.1:1")
    scorer, producers = floor.start("a", **away), floor.start_producers(**away)
    floor.until_scored(FRAMES * len(floor.cameras))
    scorer.until_ready()
    began = time.monotonic()
    assert scorer.stop() == EXIT_OK
    assert time.monotonic() - began < 15
    assert producers.wait() == EXIT_OK
    assert floor.ask("audit")[0] == EXIT_OK
