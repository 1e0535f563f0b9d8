"""Whatever a service writes is read back the same; whatever else arrives is poison and nothing worse."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadyline.contracts.camera_status import CameraStatus
from steadyline.contracts.catalogue import KINDS, MessageKind
from steadyline.contracts.dead_letter import ADDED, DeadLetter
from steadyline.contracts.frame import Frame, FrameId
from steadyline.contracts.headers import decode_event, format_time, parse_time, required_integer
from steadyline.contracts.message import JsonMessage
from steadyline.contracts.model_command import ModelCommand
from steadyline.contracts.model_event import ModelEvent
from steadyline.contracts.score import Score
from steadyline.errors import MalformedHeaders, MalformedMessage, UnscorableFrame
from steadyline.kafka.broker import Partition, Record
from steadyline.kafka.loop.dead_letter import dead_letter
from tests.support.messages import (
    by_model,
    frame_ids,
    frames,
    json_messages,
    moments,
    names,
    scores,
    traceparents,
)

any_headers = st.lists(
    st.tuples(st.text(max_size=20) | st.sampled_from(ADDED), st.none() | st.binary(max_size=40)), max_size=12
)
real_headers = st.lists(st.tuples(st.text(st.characters(codec="utf-8"), max_size=9), st.binary(max_size=9)))


def test_every_json_message_is_drawn() -> None:
    assert by_model.keys() == {kind.model for kind in KINDS if kind.model is not None}


@given(json_messages)
def test_a_json_message_is_read_back_as_it_was_written(message: JsonMessage) -> None:
    again = type(message).decode(message.encode())
    assert again == message
    assert again.encode() == message.encode()


@given(frames)
def test_a_frame_is_read_back_as_it_was_written(frame: Frame) -> None:
    assert Frame.decode(frame.picture, frame.headers()) == frame


@given(names, moments, traceparents)
def test_the_headers_of_a_json_message_say_what_went_in(
    line: str, moment: datetime, traceparent: str | None
) -> None:
    command = ModelCommand(product="cell", action="retrain", who="jo", at=moment)
    event = decode_event(command.headers(line, "cell", moment, traceparent))
    assert (event.kind, event.source, event.subject) == (ModelCommand.TYPE, f"/steadyline/{line}", "cell")
    assert (event.time, event.traceparent) == (moment, traceparent)


@given(scores, moments)
def test_a_score_worked_out_again_has_the_same_id(score: Score, moment: datetime) -> None:
    later = score.model_copy(update={"scored_at": moment})
    assert score.identity(score.camera, score.scored_at) == later.identity(later.camera, moment)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@given(value=st.none() | st.binary(max_size=60), headers=any_headers)
def test_bytes_of_any_kind_are_poison_and_never_another_error(
    kind: MessageKind, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    with suppress(MalformedHeaders, MalformedMessage):
        kind.reencode(value, headers)


@given(st.none() | st.binary(), real_headers, st.integers(0, 511), st.integers(0, 2**62))
def test_a_dead_letter_gives_back_what_was_refused(
    value: bytes | None, headers: list[tuple[str, bytes]], partition: int, offset: int
) -> None:
    record = Record(Partition("frames.v1", partition), offset, b"k", value, tuple(headers), 0)
    message = dead_letter(record, UnscorableFrame("e" * 600), "dead-letters.v1")
    letter = DeadLetter.decode(message.value, message.headers)
    assert (letter.value, letter.headers) == (record.value, record.headers)
    assert (letter.source_topic, letter.source_partition, letter.source_offset) == (
        "frames.v1",
        partition,
        offset,
    )
    assert (letter.reason, len(letter.error)) == ("unscorable_frame", 500)
    assert letter.encode_headers() == message.headers


@given(frame_ids)
def test_a_frame_id_is_read_back_from_its_text(frame_id: FrameId) -> None:
    assert FrameId.parse(str(frame_id)) == frame_id


@pytest.mark.parametrize(
    "text", ["", "c1", "c1/1", "c1/1/x", "/1/2", "C1/1/2", "c1/1/2/3", "c1/-1/2", "c1/²/1"]
)
def test_what_is_no_frame_id_is_refused(text: str) -> None:
    with pytest.raises(MalformedHeaders):
        FrameId.parse(text)


@given(moments)
def test_a_time_is_read_back_to_the_microsecond(moment: datetime) -> None:
    assert parse_time(format_time(moment)) == moment


def test_a_time_of_another_zone_becomes_utc() -> None:
    east = datetime(2026, 3, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    assert parse_time(format_time(east)) == datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-03-01T12:00:00", "2026-13-01T12:00:00Z"])
def test_a_time_without_zone_or_meaning_is_refused(text: str) -> None:
    with pytest.raises(MalformedHeaders):
        parse_time(text)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "١٢", "9" * 20, str(2**63), "0x1", " 1"])
def test_a_number_in_a_header_is_a_positive_one_of_64_bits(text: str) -> None:
    with pytest.raises(MalformedHeaders):
        required_integer({"sequence": text}, "sequence")


def test_the_names_of_a_refused_message_say_where_it_is_wrong() -> None:
    with pytest.raises(MalformedMessage, match="CameraStatus: camera: Field required"):
        CameraStatus.decode(b"{}")
    with pytest.raises(MalformedMessage, match="ModelEvent: value: Invalid JSON"):
        ModelEvent.decode(b"")
