"""Whatever a foreign client writes into key and headers: the frame they name is scored, or it is poison."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from steadyline.contracts.headers import Headers
from steadyline.contracts.score import Score
from steadyline.errors import ForeignLine, MalformedHeaders, PoisonMessage
from steadyline.kafka.broker import Message, Record
from tests.support.bench_top import BenchTop, a_record
from tests.support.models import Contrast

FRAME = "c1/1700000000000000000/1"
WRITTEN = [name for name, _ in a_record().headers]
NAMES = [*WRITTEN, "traceparent", "replayed-from", "unknown"]
VALUES = [
    *("", "0", "-1", "1e5", "٣", "9" * 19, str(1 << 63), "9" * 5000, "NaN", "null", "2.0"),
    *("\0", "../..", "%s%n", "é" * 100, "x" * 100_000, "C1", "c2", "c1/1/1", "c1/1700000000000000000/1/2"),
    *("0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+00:00", "2026-01-01"),
    *("text/html", "image/jpeg", "IMAGE/PNG"),
    *(
        "/steadyline/test/c2",
        "/steadyline/another/c1",
        "/steadyline/test/c1/",
        "/steadyline//c1",
        "/elsewhere",
    ),
    "00-" + "0" * 32 + "-" + "0" * 16 + "-00",
    "00-" + "f" * 32 + "-" + "f" * 16 + "-zz",
    "ff-" + "F" * 32 + "-" + "F" * 16 + "-01",
]
TRICKS: list[Callable[[bytes], bytes]] = [
    lambda value: b" " + value,
    lambda value: value + b" ",
    lambda value: value + b"\n",
    lambda value: value + b"\0",
    lambda value: b"\xef\xbb\xbf" + value,
    lambda value: value.replace(b"c1", b"C1"),
    lambda value: value.replace(b"c1", "с1".encode()),  # a Cyrillic letter
    lambda value: value.replace(b"c1", b"c2"),
    lambda value: value.replace(b"test", b"another"),
    lambda value: value.replace(b"part", b"Part"),
    lambda value: value.replace(b"/", b"//"),
    lambda value: value.upper(),
]
KEYS = [
    *(None, b"", b"c2", b"C1", b" c1", b"c1 ", b"c1\n", b"c1\0", "с1".encode(), b"\xff\xfe", b"c1/1"),
    b"c1" * 40_000,
    b"x" * (1 << 20),
]


def true_headers() -> Headers:
    return a_record().headers


def outcome(top: BenchTop, record: Record) -> Message | PoisonMessage:
    """Return the score's message or why the record is poison; anything else is raised."""
    try:
        (message,) = top.handler.submit(record).result(10)
    except PoisonMessage as error:
        return error
    return message


def assert_is_of_the_frame(message: Message) -> None:
    """Check that a score is written under the true frame's name in every place that has a name."""
    score = Score.decode(message.value)
    assert (score.frame, score.camera, score.product) == (FRAME, "c1", "part")
    assert message.key == b"c1"
    assert dict(message.headers)["ce_source"] == b"/steadyline/test"


@pytest.mark.parametrize("name", NAMES)
def test_any_value_of_a_header_gives_the_frames_own_score_or_poison(top: BenchTop, name: str) -> None:
    top.put(1, Contrast())
    others = tuple(header for header in true_headers() if header[0] != name)
    for value in [*(text.encode() for text in VALUES), b"\xff\xfe"]:
        found = outcome(top, replace(a_record(), headers=(*others, (name, value))))
        if isinstance(found, Message):
            assert_is_of_the_frame(found)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_frame_without_one_of_the_headers_is_malformed(top: BenchTop, name: str) -> None:
    for left in (
        tuple(header for header in true_headers() if header[0] != name),
        tuple((other, b"" if other == name else value) for other, value in true_headers()),
        tuple((other.upper() if other == name else other, value) for other, value in true_headers()),
        tuple((f"{other} " if other == name else other, value) for other, value in true_headers()),
    ):
        assert isinstance(outcome(top, replace(a_record(), headers=left)), MalformedHeaders)


@pytest.mark.parametrize("name", [*WRITTEN, "traceparent"])
def test_a_header_that_is_there_twice_is_malformed_whatever_both_say(top: BenchTop, name: str) -> None:
    headers = (*true_headers(), *((("traceparent", b"x"),) if name == "traceparent" else ()))
    value = dict(headers)[name]
    for second in (value, b"", b"c2", b"c2/1/1"):
        for twice in (((name, second), *headers), (*headers, (name, second))):
            found = outcome(top, replace(a_record(), headers=twice))
            assert isinstance(found, MalformedHeaders)
            assert "there twice" in str(found)


@pytest.mark.parametrize("name", sorted({"ce_id", "ce_source", "ce_subject", "camera", "product"}))
def test_a_name_that_is_nearly_the_frames_own_is_malformed(top: BenchTop, name: str) -> None:
    value = dict(true_headers())[name]
    for trick in TRICKS:
        if (changed := trick(value)) != value:
            headers = tuple((other, changed if other == name else old) for other, old in true_headers())
            assert isinstance(
                outcome(top, replace(a_record(), headers=headers)), MalformedHeaders | ForeignLine
            ), changed


def test_a_frame_of_another_line_is_refused_with_what_to_do_though_it_is_whole(top: BenchTop) -> None:
    top.put(1, Contrast())
    found = outcome(top, a_record(1, ce_source="/steadyline/another/c1"))
    assert isinstance(found, ForeignLine)
    assert "'another' is on the topics of the line 'test'" in str(found)
    assert "topics.prefix" in str(found)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: repr(key)[:20])
def test_a_key_that_is_not_the_camera_is_malformed_and_told_in_few_words(
    top: BenchTop, key: bytes | None
) -> None:
    top.put(1, Contrast())
    found = outcome(top, replace(a_record(), key=key))
    assert isinstance(found, MalformedHeaders)
    assert len(str(found)) < 500


def test_headers_that_nobody_reads_change_nothing_however_many_and_however_named(top: BenchTop) -> None:
    top.put(1, Contrast())
    strange = [("unknown", b"\xff"), ("unknown", b"1"), ("", b""), ("CE_ID", b"c2/1/1"), ("x" * 10_000, b"y")]
    many = tuple((f"h{number}", b"v" * 10) for number in range(10_000))
    found = outcome(top, replace(a_record(), headers=(*strange, *true_headers(), *many)))
    assert isinstance(found, Message)
    assert_is_of_the_frame(found)
    assert sum(len(name) + len(value) for name, value in found.headers) < 1_000
