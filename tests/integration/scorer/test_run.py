"""One scorer as a process over real servers: start, work, poison, stop."""

import io
import zlib

import pytest
from PIL import Image

from steadyline.lifecycle import EXIT_FATAL, EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE
from steadyline.picture import encode_jpeg, encode_png
from tests.integration.scorer.floor import Floor
from tests.support.eventually import eventually
from tests.support.models import Contrast, a_defective_picture, a_plain_picture

pytestmark = pytest.mark.servers


def in_service(floor: Floor, version: int = 1) -> None:
    """Put a version in service."""
    model = Contrast(gain=version)
    floor.serve(version, model)
    floor.announce(version, model)


def test_every_frame_is_scored_once_in_order_with_its_evidence(floor: Floor) -> None:
    in_service(floor)
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


def test_a_stop_under_load_commits_what_is_in_hand_and_the_next_scorer_goes_on(floor: Floor) -> None:
    in_service(floor)
    first = floor.start("a")
    first.until_ready()
    floor.send(600)
    floor.until_scored(50)
    assert first.stop() == EXIT_OK
    second = floor.start("a")
    floor.until_accounted().assert_intact()
    assert second.stop() == EXIT_OK


def test_without_a_model_frames_wait_and_the_scorer_says_what_for(floor: Floor) -> None:
    scorer = floor.start("a")
    eventually(lambda: scorer.readiness() == {f"model:{floor.product}": "no_live_model"}, 30)
    floor.send(20)
    eventually(lambda: scorer.metric("scorer_in_hand_frames") == 20, 20)
    assert floor.read() == 0
    in_service(floor)
    floor.until_accounted().assert_intact()
    scorer.until_ready()


def a_bomb() -> bytes:
    """A small PNG that announces 50000 x 50000 pixels."""
    target = io.BytesIO()
    Image.new("1", (8, 8)).save(target, "PNG")
    data = bytearray(target.getvalue())
    data[16:24] = (50_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


def test_hostile_frames_become_counted_dead_letters_and_stop_nothing(floor: Floor) -> None:
    in_service(floor)
    jpeg, png = encode_jpeg(a_plain_picture(64)), encode_png(a_defective_picture(32))
    hostile = [
        (b"", "empty_picture"),
        (b"\xff\xd8\xff" + b"\x00" * 200_001, "picture_too_large"),
        (a_bomb(), "picture_too_many_pixels"),
        (b"GIF89a" + b"\x00" * 90, "unsupported_format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported_format"),
        (jpeg[: len(jpeg) // 2], "undecodable_picture"),
        (png[:-16], "undecodable_picture"),
        (b"\x89PNG\r\n\x1a\n" + b"\xff" * 64, "undecodable_picture"),
        (jpeg[:40] + b"\x00" * 40 + jpeg[80:], "undecodable_picture"),
    ]
    headers = [
        ({"product": "unknown"}, "unknown_camera"),
        ({"content-type": "text/html"}, "malformed_headers"),
        ({"ce_time": "yesterday"}, "malformed_headers"),
    ]
    scorer = floor.start("a")
    scorer.until_ready()
    expected = {}
    floor.send(40)
    for data, reason in hostile:
        expected[floor.send_picture("east-0", data)] = (reason, data)
    for changed, reason in headers:
        expected[floor.send_picture("east-1", png, **changed)] = (reason, png)
    floor.send(40)
    account = floor.until_accounted()
    account.assert_intact()
    found = {dict(letter.headers)["ce_id"].decode(): letter for letter in floor.refused}
    assert found.keys() == expected.keys()
    for name, (reason, data) in expected.items():
        assert found[name].value == data, name
        assert dict(found[name].headers)["reason"].decode() == reason, name
    reasons = [reason for reason, _ in expected.values()]
    for reason in set(reasons):
        assert scorer.metric("loop_dead_letters_total", reason=reason) == reasons.count(reason)
    assert scorer.stop() == EXIT_OK


def test_a_storm_of_poison_stops_the_scorer_with_a_clear_error(floor: Floor) -> None:
    in_service(floor)
    scorer = floor.start("a", SCORER_STORM_FRAMES="50")
    scorer.until_ready()
    for _ in range(300):
        floor.send_picture("east-0", b"no picture")
    floor.flush()
    assert scorer.wait() == EXIT_FATAL
    assert "dead_letter_storm" in scorer.text()
    assert "unsupported_format" in scorer.text()


def test_a_full_store_holds_scores_until_it_takes_evidence_again(floor: Floor) -> None:
    in_service(floor)
    scorer = floor.start("a")
    scorer.until_ready()
    folder = floor.home / "store"
    blocked = folder / "evidence"
    blocked.write_text("a file where the folder must be: nothing can be written below it")
    floor.send(60)
    eventually(lambda: scorer.metric("scorer_held_total", reason="store_unavailable") > 0, 20)
    assert [score for score in floor.scores() if score.verdict == "anomalous"] == []
    blocked.unlink()
    floor.until_accounted().assert_intact()
    floor.assert_scores_true({1: 1.0})


def test_a_start_without_triton_names_the_address_and_exits(floor: Floor) -> None:
    scorer = floor.start("a", TRITON_URL="127.0.0.1:9")
    assert scorer.wait() == EXIT_UNAVAILABLE
    assert "127.0.0.1:9" in scorer.text()
    assert "TRITON_URL" in scorer.text()


def test_a_start_without_topics_says_how_to_create_them(floor: Floor) -> None:
    text = floor.line_file.read_text()
    floor.line_file.write_text(text.replace("prefix: ", "prefix: other-"))
    scorer = floor.start("a")
    assert scorer.wait() == EXIT_USAGE
    assert "steadyline topics create" in scorer.text()


def test_a_start_with_a_store_that_cannot_be_written_exits(floor: Floor) -> None:
    text = floor.line_file.read_text()
    floor.line_file.write_text(text.replace("file://./store", "file:///dev/null/store"))
    scorer = floor.start("a")
    assert scorer.wait() == EXIT_UNAVAILABLE
    assert "store_unavailable" in scorer.text()
