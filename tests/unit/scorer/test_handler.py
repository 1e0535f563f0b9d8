"""Frames through the handler: batches, holds, retries, swaps, poison."""

import hashlib
import io
import threading
import zlib

import pytest
from PIL import Image
from structlog.testing import capture_logs

from scorer.config import ScorerSettings
from steadyline.contracts.headers import decode_headers
from steadyline.contracts.score import Score
from steadyline.errors import (
    Backpressure,
    EmptyPicture,
    MalformedHeaders,
    PictureTooLarge,
    PictureTooManyPixels,
    PoisonMessage,
    UndecodablePicture,
    UnknownCamera,
    UnscorableFrame,
    UnsupportedFormat,
)
from steadyline.inference import ModelRef
from steadyline.kafka.broker import Message, Partition
from steadyline.map_png import decode_map, glow_of
from steadyline.picture import encode_jpeg, encode_png
from tests.support.bench_top import TOPIC_ID, BenchTop, a_line, a_record
from tests.support.inference import constant
from tests.support.models import Contrast, a_defective_picture, a_plain_picture

DEFECT = encode_png(a_defective_picture(32, cell=5))
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def score_of(messages: list[Message]) -> Score:
    (message,) = messages
    return Score.decode(message.value)


def test_a_frame_becomes_one_score_on_the_same_partition_and_key(top: BenchTop) -> None:
    top.put(3, Contrast())
    record = a_record(7, DEFECT, traceparent=TRACE)
    (message,) = top.handler.submit(record).result(10)
    assert (message.topic, message.partition, message.key) == ("steadyline.scores.v1", 0, b"c1")
    score = Score.decode(message.value)
    assert score.frame == "c1/1700000000000000000/7"
    assert (score.model_version, score.threshold_version, score.verdict) == (3, 1, "anomalous")
    assert score.score == pytest.approx(0.5, abs=1e-5)
    assert (score.p_value, score.threshold) == (0.01, 0.2)
    assert (score.peak.x, score.peak.y) == (0.375, 0.375)
    assert (score.source_partition, score.source_offset) == (0, 7)


def test_the_score_names_the_part_of_its_frame_and_the_area_of_its_map(top: BenchTop) -> None:
    top.put(1, Contrast())
    named = a_record(1, DEFECT)
    named = type(named)(named.partition, 1, named.key, named.value, (*named.headers, ("part", b"SN 7")), 0)
    found = [score_of(list(top.handler.submit(one).result(10))) for one in (named, a_record(2))]
    assert [(score.part, score.area) for score in found] == [("SN 7", 1 / 16), (None, 0.0)]
    bad = type(named)(named.partition, 3, named.key, named.value, (*a_record(3).headers, ("part", b"\n")), 0)
    with pytest.raises(MalformedHeaders, match="no name of a part"):
        top.handler.submit(bad)


def test_the_score_goes_on_with_the_frames_trace(top: BenchTop) -> None:
    top.put(1, Contrast())
    record = a_record(1)
    traced = (*record.headers, ("traceparent", TRACE.encode()))
    moved = type(record)(record.partition, 1, record.key, record.value, traced, 0)
    (message,) = top.handler.submit(moved).result(10)
    found = decode_headers(message.headers)["traceparent"]
    assert found.split("-")[1] == TRACE.split("-")[1]
    assert found.split("-")[2] != TRACE.split("-")[2]


def test_a_lone_frame_is_sent_at_once(top: BenchTop) -> None:
    top.put(1, Contrast())
    top.handler.submit(a_record(1)).result(10)
    assert top.inference.asked == [(ModelRef("part", 1), 1)]


def test_beside_a_request_under_way_only_full_batches_go(top: BenchTop) -> None:
    top.put(1, Contrast())
    top.inference.is_slow = True
    futures = [top.handler.submit(a_record(number)) for number in range(1, 12)]
    top.settle()
    assert [count for _, count in top.inference.asked] == [1, 4]  # two slots: the first frame, a full batch
    top.inference.release(1)
    assert [count for _, count in top.inference.asked] == [1, 4, 4]
    top.inference.release(1)
    assert [count for _, count in top.inference.asked] == [1, 4, 4]  # two frames wait for the last request
    top.inference.release(1)
    assert [count for _, count in top.inference.asked] == [1, 4, 4, 2]
    top.inference.release()
    frames = [score_of(list(future.result(10))).frame for future in futures]
    assert frames == [f"c1/1700000000000000000/{number}" for number in range(1, 12)]


def test_frames_wait_until_there_is_a_model(top: BenchTop) -> None:
    future = top.handler.submit(a_record(1))
    top.pass_time(60)
    assert not future.done()
    assert top.inference.asked == []
    top.put(1, Contrast())
    top.pass_time(0)
    assert score_of(list(future.result(10))).model_version == 1


def test_an_outage_holds_frames_and_skips_none(top: BenchTop) -> None:
    top.put(1, Contrast())
    top.inference.is_away = True
    futures = [top.handler.submit(a_record(number)) for number in range(1, 7)]
    top.settle()
    for _ in range(20):
        top.pass_time(1)
    assert not any(future.done() for future in futures)
    attempts = len(top.inference.asked)
    assert attempts <= 24  # one request at a time, further and further apart
    top.inference.is_away = False
    top.pass_time(5)
    top.pass_time(0)
    assert [score_of(list(future.result(10))).source_offset for future in futures] == [1, 2, 3, 4, 5, 6]


def test_the_delay_between_attempts_grows_up_to_its_bound(top: BenchTop) -> None:
    top.put(1, Contrast())
    top.inference.is_away = True
    top.handler.submit(a_record(1))
    top.settle()
    for _ in range(600):
        top.pass_time(0.1)
    assert 60 / 5 <= len(top.inference.asked) <= 60 / 2.5 + 10


def test_a_version_that_went_away_is_asked_again_as_the_newest(top: BenchTop) -> None:
    top.put(1, Contrast())
    top.inference.is_slow = True
    future = top.handler.submit(a_record(1, DEFECT))
    top.settle()
    top.inference.retire("part", 1)
    top.put(2, Contrast(gain=2))
    top.inference.is_slow = False
    top.inference.release()
    score = score_of(list(future.result(10)))
    assert (score.model_version, score.threshold) == (2, 0.4)
    assert score.score == pytest.approx(1.0, abs=1e-5)


def test_a_batch_in_flight_keeps_the_version_and_threshold_it_was_asked_with(top: BenchTop) -> None:
    top.put(1, Contrast())
    top.inference.is_slow = True
    future = top.handler.submit(a_record(1, DEFECT))
    top.settle()
    top.put(2, Contrast(gain=2))
    top.inference.release()
    score = score_of(list(future.result(10)))
    assert (score.model_version, score.threshold) == (1, 0.2)
    assert score.score == pytest.approx(0.5, abs=1e-5)


def test_a_frame_prepared_for_another_size_is_prepared_again(top: BenchTop) -> None:
    top.put(1, Contrast(size=64))
    top.inference.is_slow = True
    first = top.handler.submit(a_record(1))
    waiting = top.handler.submit(a_record(2, DEFECT))
    top.settle()
    top.put(2, Contrast(size=32))
    top.inference.is_slow = False
    top.inference.release()
    assert score_of(list(waiting.result(10))).model_version == 2
    assert score_of(list(first.result(10))).model_version == 1


def test_frames_are_held_while_the_models_answers_are_in_doubt(top: BenchTop) -> None:
    top.put(1, Contrast())
    top.slot.suspend("wrong_answer")
    future = top.handler.submit(a_record(1))
    top.pass_time(10)
    assert not future.done()
    top.slot.resume()
    top.pass_time(0)
    assert future.result(10)


def test_no_more_is_taken_than_there_is_room_for() -> None:
    top = BenchTop(settings=ScorerSettings(instance="a", in_hand_frames=2))
    futures = [top.handler.submit(a_record(number)) for number in (1, 2)]
    with pytest.raises(Backpressure):
        top.handler.submit(a_record(3))
    top.put(1, Contrast())
    top.pass_time(0)
    for future in futures:
        assert future.result(10)
    assert top.handler.submit(a_record(3)).result(10)
    top.close()


def test_one_frame_is_taken_however_large_it_is() -> None:
    top = BenchTop(settings=ScorerSettings(instance="a", in_hand_bytes=10))
    top.put(1, Contrast())
    assert top.handler.submit(a_record(1)).result(10)
    top.close()


def test_a_dropped_partition_is_forgotten_and_makes_room(top: BenchTop) -> None:
    future = top.handler.submit(a_record(1))
    top.settle()
    future.cancel()
    top.handler.drop(Partition("steadyline.frames.v1", 0))
    top.put(1, Contrast())
    top.pass_time(0)
    assert top.inference.asked == []
    assert top.handler.submit(a_record(2)).result(10)


def test_an_answer_for_a_frame_given_up_is_thrown_away(top: BenchTop) -> None:
    top.put(1, Contrast())
    top.inference.is_slow = True
    future = top.handler.submit(a_record(1, DEFECT))
    top.settle()
    future.cancel()
    top.inference.release()
    top.settle()
    assert top.store.list("evidence") == []


def a_bomb() -> bytes:
    """A small PNG that announces 50000 x 50000 pixels."""
    target = io.BytesIO()
    Image.new("1", (8, 8)).save(target, "PNG")
    data = bytearray(target.getvalue())
    data[16:24] = (50_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


JPEG = encode_jpeg(a_plain_picture(32))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", EmptyPicture),
        (b"\x00" * 200_001, PictureTooLarge),
        (b"GIF89a" + b"\x00" * 50, UnsupportedFormat),
        (b"<svg/>", UnsupportedFormat),
        (a_bomb(), PictureTooManyPixels),
        (JPEG[: len(JPEG) // 2], UndecodablePicture),
        (DEFECT[:-20], UndecodablePicture),
        (b"\x89PNG\r\n\x1a\n" + b"\xff" * 100, UndecodablePicture),
    ],
)
def test_a_hostile_picture_is_poison_and_nothing_is_asked(
    top: BenchTop, data: bytes, error: type[PoisonMessage]
) -> None:
    top.put(1, Contrast())
    with pytest.raises(error):
        top.handler.submit(a_record(1, data)).result(10)
    assert top.inference.asked == []


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({"product": "unknown", "ce_subject": "unknown"}, UnknownCamera),
        ({"epoch": "-1"}, MalformedHeaders),
        ({"ce_type": "com.example.other"}, MalformedHeaders),
        ({"content-type": "text/html"}, MalformedHeaders),
        ({"ce_time": "yesterday"}, MalformedHeaders),
    ],
)
def test_wrong_headers_are_poison(top: BenchTop, headers: dict[str, str], error: type[PoisonMessage]) -> None:
    with pytest.raises(error):
        top.handler.submit(a_record(1, None, "c1", **headers))


def test_a_camera_that_the_line_does_not_list_is_poison(top: BenchTop) -> None:
    with pytest.raises(UnknownCamera, match="no camera 'c9'"):
        top.handler.submit(a_record(1, camera="c9"))


def test_an_answer_that_is_no_number_refuses_that_frame_only(top: BenchTop) -> None:
    top.put(1, Contrast())
    top.inference.serve("part", 1, constant(float("nan")))
    with pytest.raises(UnscorableFrame):
        top.handler.submit(a_record(1)).result(10)
    top.put(1, Contrast())
    assert top.handler.submit(a_record(2)).result(10)


def test_a_bug_breaks_the_promise_instead_of_leaving_it_open(top: BenchTop) -> None:
    top.put(1, Contrast())
    model = Contrast().event_model(1)
    top.slot.put(model.model_copy(update={"calibrations": {}}))
    with pytest.raises(KeyError):
        top.handler.submit(a_record(1)).result(10)


def test_an_anomalous_frame_leaves_its_bytes_and_its_map_under_its_place(top: BenchTop) -> None:
    top.put(1, Contrast())
    score = score_of(list(top.handler.submit(a_record(9, DEFECT)).result(10)))
    folder = f"{top.line.store}/evidence/test/steadyline.frames.v1/{TOPIC_ID}/0/9"
    assert (score.picture_uri, score.map_uri) == (f"{folder}/picture.png", f"{folder}/map.png")
    assert top.store.get(score.picture_uri or "") == DEFECT
    assert score.picture_sha256 == hashlib.sha256(DEFECT).hexdigest()
    anomaly_map = decode_map(top.store.get(score.map_uri or ""))
    assert anomaly_map.shape == (4, 4)
    assert anomaly_map[1, 1] == anomaly_map.max() == pytest.approx(score.peak.value, rel=0.05)
    glow = glow_of(top.store.get(score.map_uri or ""))
    assert (glow > 0).mean() == score.area
    assert score.calibrated is not None
    assert glow.max() == pytest.approx(2 * score.calibrated - 1, abs=1 / 128)
    assert score.peak.value == pytest.approx(0.5, abs=1e-5)


def test_a_score_waits_for_its_evidence_while_the_store_is_full(top: BenchTop) -> None:
    top.put(1, Contrast())
    top.store.refusals = 3
    future = top.handler.submit(a_record(1, DEFECT))
    normal = top.handler.submit(a_record(2))
    assert normal.result(10)
    top.settle()
    for _ in range(2):
        assert not future.done()
        top.pass_time(5)
    assert not future.done()
    top.pass_time(5)
    assert score_of(list(future.result(10))).picture_uri


def test_a_store_that_hangs_holds_up_no_frame_that_needs_no_evidence(top: BenchTop) -> None:
    top.put(1, Contrast())
    top.store.is_answering.clear()
    held = [top.handler.submit(a_record(number, DEFECT)) for number in range(1, 9)]
    for number in range(9, 30):
        assert score_of(list(top.handler.submit(a_record(number)).result(10))).picture_uri is None
    assert not any(future.done() for future in held)
    top.store.is_answering.set()
    assert all(score_of(list(future.result(10))).picture_uri for future in held)


def test_a_store_that_hangs_does_not_keep_the_scorer_from_ending() -> None:
    top = BenchTop()
    top.put(1, Contrast())
    top.store.is_answering.clear()
    top.handler.submit(a_record(1, DEFECT))
    ending = threading.Thread(target=top.close)
    ending.start()
    ending.join(10)
    assert not ending.is_alive()
    top.store.is_answering.set()


def test_while_the_store_fails_one_frame_at_a_time_tries_it(top: BenchTop) -> None:
    top.put(1, Contrast())
    top.store.refusals = 1000
    held = [top.handler.submit(a_record(number, DEFECT)) for number in range(1, 21)]
    top.settle()
    left = top.store.refusals
    for _ in range(3):
        top.pass_time(6)
    assert left - top.store.refusals == 3
    top.store.refusals = 0
    top.pass_time(6)
    assert all(score_of(list(future.result(10))).picture_uri for future in held)


def test_a_fixed_sample_of_normal_frames_leaves_evidence() -> None:
    line = a_line()
    product = line.products["part"].model_copy(update={"evidence_sample": 0.25})
    top = BenchTop(line=line.model_copy(update={"products": {"part": product}}))
    top.put(1, Contrast())

    def kept() -> list[int]:
        scores = [score_of(list(top.handler.submit(a_record(number)).result(10))) for number in range(1, 201)]
        return [score.source_offset for score in scores if score.picture_uri]

    first = kept()
    assert 30 <= len(first) <= 70
    assert kept() == first
    top.close()


WIDE = Contrast(size=16, width=64)


def test_a_model_may_take_pictures_that_are_no_squares(top: BenchTop) -> None:
    """Peak and map are in fractions of the frame, whatever the grid's proportions."""
    top.put(3, WIDE)
    defect = encode_png(a_defective_picture(WIDE.grid, cell=11))
    score = score_of(top.handler.submit(a_record(1, defect)).result(10))  # type: ignore[arg-type]
    assert score.verdict == "anomalous"
    assert (score.peak.x, score.peak.y) == (3.5 / 8, 1.5 / 2)
    assert decode_map(top.store.get(score.map_uri or "")).shape == (2, 8)


def test_a_camera_whose_frames_the_grid_distorts_is_told_of_once(top: BenchTop) -> None:
    top.put(3, WIDE)
    square, wide = encode_png(a_plain_picture(32)), encode_png(a_plain_picture(WIDE.grid))
    with capture_logs() as log:
        for sequence, camera in enumerate(("c1", "c1", "c2"), 1):
            top.handler.submit(a_record(sequence, square, camera)).result(10)
        top.handler.submit(a_record(4, wide, "c1")).result(10)
    told = [(row["camera"], row["note"]) for row in log if row["event"] == "frames_distorted"]
    assert [camera for camera, _ in told] == ["c1", "c2"]
    assert "stretched 4.00 times to the grid 16x64; the grid 32x32 keeps their proportions" in told[0][1]
