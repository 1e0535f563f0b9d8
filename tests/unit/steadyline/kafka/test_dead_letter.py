"""What cannot be used becomes a letter that can be written, and a storm of them stops the loop."""

from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from steadyline.clock import ManualClock
from steadyline.contracts.dead_letter import ADDED, DeadLetter
from steadyline.contracts.topics import MAX_DEAD_LETTER_BYTES, MAX_FRAME_BYTES
from steadyline.errors import MalformedHeaders, PoisonMessage, UndecodablePicture
from steadyline.kafka.broker import Partition, Record
from steadyline.kafka.loop.dead_letter import dead_letter
from steadyline.kafka.loop.dlq_limit import DEAD_LETTER_STORM, StormGuard, StormLimit
from tests.support.golden import Golden, goldens
from tests.support.handlers import Prompt, ScriptedHandler
from tests.support.loop_bench import AT_ONCE, DEAD_LETTERS, STOP, TOPICS, LoopBench, turns

CAMERA = ("camera", b"c1")


def test_poison_is_dead_lettered_in_its_place_and_the_rest_goes_on() -> None:
    bench = LoopBench()
    loop = bench.loop(Prompt(TOPICS.scores.name))
    bench.publish(b"1", b"bad", b"2")
    turns(loop, 2)
    assert bench.read() == [b"1", b"2"]
    (letter,) = bench.broker.reader("test").read(TOPICS.dead_letters.name)
    assert letter.value == b"bad"
    assert dict(letter.headers) == {
        "reason": b"malformed_headers",
        "error": b"bad is bad",
        "source-topic": b"t.frames.v1",
        "source-partition": b"0",
        "source-offset": b"1",
    }


REASONS: tuple[type[PoisonMessage], ...] = (MalformedHeaders, UndecodablePicture)
LETTERS = [golden for golden in goldens() if golden.kind.name == "dead-letter"]


@pytest.mark.parametrize("golden", LETTERS, ids=lambda golden: golden.name)
def test_the_loop_writes_the_golden_letters_to_the_byte(golden: Golden) -> None:
    letter = DeadLetter.decode(golden.value, golden.headers)
    (why,) = (reason for reason in REASONS if reason.reason == letter.reason)
    partition = Partition(letter.source_topic, letter.source_partition)
    record = Record(partition, letter.source_offset, b"east-1", letter.value, letter.headers, 0)
    written = dead_letter(record, why(letter.error), "t.dead-letters.v1")
    assert (written.value, written.headers) == (golden.value, golden.headers)
    assert (written.key, written.partition) == (b"east-1", letter.source_partition)


def test_poison_found_while_working_is_dead_lettered_too() -> None:
    bench = LoopBench()
    handler = ScriptedHandler(TOPICS.scores.name)
    loop = bench.loop(handler)
    bench.publish(b"bad", b"2")
    loop.turn(STOP)
    handler.finish_all()
    loop.turn(STOP)
    assert bench.values(TOPICS.dead_letters.name) == [b"bad"]
    assert bench.read() == [b"2"]


def test_a_record_without_key_and_value_gets_a_letter_that_can_be_written() -> None:
    record = Record(Partition("t.frames.v1", 0), 7, None, None, (), 0)
    letter = dead_letter(record, MalformedHeaders("no headers at all"), "t.dead-letters.v1")
    assert (letter.key, letter.value) == (None, b"")
    keyed = dead_letter(replace(record, key=b"c"), MalformedHeaders("none"), "t.dead-letters.v1")
    assert (keyed.key, keyed.value) == (b"c", None)


@pytest.mark.parametrize(
    ("key", "value", "headers"),
    [
        (b"c", bytes(MAX_DEAD_LETTER_BYTES), (CAMERA,)),
        (b"c", b"v", (CAMERA, ("comment", bytes(MAX_FRAME_BYTES)))),
        (b"c", b"v", (CAMERA, *(("x", b""),) * 1_000_000)),
        (bytes(MAX_DEAD_LETTER_BYTES), b"v", (CAMERA,)),
        (None, bytes(3 * MAX_FRAME_BYTES), (CAMERA,)),
    ],
    ids=["value", "a header", "many headers", "key", "no key"],
)
def test_a_record_that_no_letter_can_hold_is_cut_and_says_so(
    key: bytes | None, value: bytes, headers: tuple[tuple[str, bytes], ...]
) -> None:
    record = Record(Partition("t.frames.v1", 0), 7, key, value, headers, 0)
    letter = dead_letter(record, MalformedHeaders("none"), "t.dead-letters.v1")
    written = len(letter.key or b"") + len(letter.value or b"")
    written += sum(len(name) + len(text) + 10 for name, text in letter.headers)
    assert written < MAX_DEAD_LETTER_BYTES - 1024
    assert value.startswith(letter.value or b"none")
    assert letter.headers[0] == CAMERA
    assert dict(letter.headers)["cut-from"] == str(record.size).encode()
    assert tuple(name for name, _ in letter.headers[-len(ADDED) :]) == ADDED


def test_a_record_of_the_largest_frame_is_kept_untouched() -> None:
    record = Record(Partition("t.frames.v1", 0), 7, b"c", bytes(MAX_FRAME_BYTES - 100), (CAMERA,), 0)
    letter = dead_letter(record, MalformedHeaders("none"), "t.dead-letters.v1")
    assert letter.value == record.value
    assert letter.headers[: -len(ADDED)] == (CAMERA,)


def test_a_storm_of_poison_is_told_and_stops_nothing() -> None:
    limit = StormLimit(fraction=0.5, messages=10)
    bench = LoopBench(
        replace(AT_ONCE, dead_letters=replace(DEAD_LETTERS, storm=limit), transaction_messages=5)
    )
    loop = bench.loop(Prompt(TOPICS.scores.name))
    bench.publish(*([b"bad"] * 100))
    with capture_logs() as lines:
        turns(loop, 100)
    assert loop.is_storm
    storms = [line for line in lines if line["event"] == DEAD_LETTER_STORM]
    assert [(line["last_reason"], line["refused"]) for line in storms] == [("malformed_headers", 10)]
    assert len(bench.values(TOPICS.dead_letters.name)) == 100
    bench.clock.advance(limit.window + timedelta(seconds=1))
    assert not loop.is_storm


def test_poison_spread_over_time_is_no_storm() -> None:
    clock = ManualClock()
    guard = StormGuard(StormLimit(fraction=0.5, messages=10, window=timedelta(seconds=60)), clock)
    for _ in range(100):
        clock.advance(timedelta(seconds=10))
        guard.count(True, "poison")
        assert not guard.is_storm


def test_a_storm_is_said_once_a_minute() -> None:
    clock = ManualClock()
    guard = StormGuard(StormLimit(messages=1), clock)
    with capture_logs() as lines:
        for _ in range(180):
            guard.count(True, MalformedHeaders.reason)
            clock.advance(timedelta(seconds=1))
    assert [line["event"] for line in lines] == [DEAD_LETTER_STORM] * 3
