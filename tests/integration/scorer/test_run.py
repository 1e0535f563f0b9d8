"""One scorer as a process over real servers: start, work, stop."""

import pytest

from steadyline.service import EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE
from tests.support.scorer_line import ScorerLine

pytestmark = pytest.mark.servers


def test_every_frame_is_scored_once_in_order_with_its_evidence(floor: ScorerLine) -> None:
    floor.put_in_service()
    scorer = floor.start("a")
    scorer.until_ready()
    floor.send(200)
    floor.until_accounted().assert_intact()
    floor.assert_scores_true({1: 1.0})
    assert scorer.metric("scorer_frames_scored_total", verdict="anomalous") == 40
    assert scorer.metric("scorer_model_version") == 1
    assert scorer.metric("scorer_inference_failures_total") == 0
    assert scorer.metric("scorer_evidence_bytes_total") > 0
    assert scorer.stop() == EXIT_OK
    floor.assert_audit_intact()


def test_a_stop_under_load_commits_what_is_in_hand_and_the_next_scorer_goes_on(floor: ScorerLine) -> None:
    floor.put_in_service()
    first = floor.start("a")
    first.until_ready()
    floor.send(600)
    floor.until_scored(50)
    assert first.stop() == EXIT_OK
    second = floor.start("a")
    floor.until_accounted().assert_intact()
    assert second.stop() == EXIT_OK
    floor.assert_audit_intact()


def test_a_start_without_triton_names_the_address_and_exits(floor: ScorerLine) -> None:
    scorer = floor.start("a", TRITON_URL="127.0.0.1:9")
    assert scorer.wait() == EXIT_UNAVAILABLE
    assert "127.0.0.1:9" in scorer.text()
    assert "TRITON_URL" in scorer.text()
    assert "refused" in scorer.text()


def test_a_start_with_a_scheme_in_tritons_address_says_how_it_must_look(floor: ScorerLine) -> None:
    scorer = floor.start("a", TRITON_URL=f"http://{floor.addresses.triton_grpc}")
    assert scorer.wait() == EXIT_USAGE
    assert "TRITON_URL begins with a scheme: write HOST:PORT" in scorer.text()


def test_a_start_on_tritons_http_port_says_that_it_is_that(floor: ScorerLine) -> None:
    scorer = floor.start("a", TRITON_URL=floor.addresses.triton_http)
    assert scorer.wait() == EXIT_USAGE
    assert "is an HTTP port" in scorer.text()


def test_a_start_without_topics_says_how_to_create_them(floor: ScorerLine) -> None:
    text = floor.line_file.read_text()
    floor.line_file.write_text(text.replace("prefix: ", "prefix: other-"))
    scorer = floor.start("a")
    assert scorer.wait() == EXIT_USAGE
    assert "steadyline topics create" in scorer.text()


def test_a_start_with_a_store_that_cannot_be_written_exits(floor: ScorerLine) -> None:
    text = floor.line_file.read_text()
    floor.line_file.write_text(text.replace("file://./store", "file:///dev/null/store"))
    scorer = floor.start("a")
    assert scorer.wait() == EXIT_UNAVAILABLE
    assert "store_unavailable" in scorer.text()
