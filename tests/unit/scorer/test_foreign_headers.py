"""Whatever a foreign client writes into a header: the frame is scored or it is poison, and never a bug."""

from dataclasses import replace

import pytest

from steadyline.contracts.score import Score
from steadyline.errors import PoisonMessage
from tests.support.bench_top import BenchTop, a_record
from tests.support.models import Contrast

NAMES = [name for name, _ in a_record().headers] + ["traceparent", "replayed-from", "unknown"]
VALUES = [
    *("", "0", "-1", "1e5", "٣", "9" * 19, str(1 << 63), "9" * 5000, "NaN", "null", "2.0"),
    *("\0", "../..", "%s%n", "é" * 100, "x" * 100_000, "C1", "c2", "c1/1/1", "c1/1700000000000000000/1/2"),
    *("0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+00:00", "2026-01-01"),
    *("text/html", "image/jpeg", "IMAGE/PNG"),
    "00-" + "0" * 32 + "-" + "0" * 16 + "-00",
    "00-" + "f" * 32 + "-" + "f" * 16 + "-zz",
    "ff-" + "F" * 32 + "-" + "F" * 16 + "-01",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_value_of_a_header_gives_a_score_or_poison(top: BenchTop, name: str) -> None:
    top.put(1, Contrast())
    whole = a_record()
    others = tuple(header for header in whole.headers if header[0] != name)
    for value in [*(text.encode() for text in VALUES), b"\xff\xfe"]:
        record = replace(whole, headers=(*others, (name, value)))
        try:
            (message,) = top.handler.submit(record).result(10)
        except PoisonMessage:
            continue
        assert Score.decode(message.value).frame == "c1/1700000000000000000/1", value


def test_any_missing_header_gives_a_score_or_poison(top: BenchTop) -> None:
    top.put(1, Contrast())
    whole = a_record()
    refused = []
    for name, _ in whole.headers:
        record = replace(whole, headers=tuple(header for header in whole.headers if header[0] != name))
        try:
            top.handler.submit(record).result(10)
        except PoisonMessage:
            refused.append(name)
    assert {"ce_id", "ce_type", "ce_time", "content-type", "camera", "product"} <= set(refused)
