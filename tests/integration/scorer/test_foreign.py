"""Frames from other Kafka clients, which compress, and topics that somebody set otherwise."""

import pytest
from kafka.errors import MessageSizeTooLargeError

from steadyline.picture import encode_png
from steadyline.service import EXIT_FATAL, EXIT_OK
from tests.support.models import a_plain_picture
from tests.support.scorer_line import ScorerLine

pytestmark = pytest.mark.servers

LARGE = b"BM" + bytes(20 << 20)  # 20 KB when compressed


def test_a_compressed_frame_is_scored_and_one_that_only_its_compression_made_small_is_refused_at_once(
    floor: ScorerLine,
) -> None:
    floor.put_in_service()
    scorer = floor.start("a")
    floor.send_compressed("east-0", encode_png(a_plain_picture(32)))
    floor.send(20)
    floor.until_accounted().assert_intact()
    assert floor.refused == []
    with pytest.raises(MessageSizeTooLargeError):
        floor.send_compressed("east-0", LARGE)
    assert scorer.stop() == EXIT_OK


def test_on_a_topic_that_keeps_it_such_a_frame_becomes_a_letter_that_is_cut_and_stops_nothing(
    floor: ScorerLine,
) -> None:
    floor.set_topic(floor.topics.frames, compression_type="producer")
    floor.put_in_service()
    scorer = floor.start("a")
    scorer.until_ready()
    name = floor.send_compressed("east-0", LARGE)
    floor.send(40)
    floor.until_accounted().assert_intact()
    (letter,) = floor.refused
    headers = dict(letter.headers)
    assert floor.frame_of(letter) == name
    assert headers["reason"] == b"picture_too_large"
    assert len(LARGE) < int(headers["cut-from"]) < len(LARGE) + 1_000
    kept = letter.value or b""
    assert 7 << 20 < len(kept) < len(LARGE)
    assert LARGE.startswith(kept)
    assert scorer.stop() == EXIT_OK
    floor.assert_audit_intact()


def test_a_topic_in_a_codec_that_no_reader_has_ends_the_scorer_with_what_to_do(floor: ScorerLine) -> None:
    floor.set_topic(floor.topics.frames, compression_type="zstd")  # as a broker's own default may be
    floor.put_in_service()
    scorer = floor.start("a")
    floor.send(4)
    assert scorer.wait() == EXIT_FATAL
    assert "zstd" in scorer.text()
    assert "compression.type=uncompressed" in scorer.text()
    status, report = floor.ask("topics", "check")
    assert status != EXIT_OK
    (failed,) = (item for item in report["findings"] if item["state"] == "failed")
    assert failed["check"] == f"topic {floor.topics.frames.name}"
    assert "compression.type is zstd, must be uncompressed" in failed["found"]

    floor.set_topic(floor.topics.frames, compression_type="uncompressed")
    assert floor.ask("topics", "check")[0] == EXIT_OK
