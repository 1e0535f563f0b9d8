"""Whatever JSON stands in a value, reading it raises PoisonMessage and nothing else."""

import json
import tracemalloc
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import pytest
from pydantic import ValidationError

from steadyline.contracts.catalogue import KINDS
from steadyline.contracts.message import JsonMessage, Part
from steadyline.errors import MalformedMessage, PoisonMessage
from steadyline.kafka.broker import Partition, Record
from steadyline.kafka.messages import Subscription, decoded

MESSAGES = [kind.model for kind in KINDS if kind.model is not None]
DIGITS = "9" * 5_000
VALUES = {
    "nothing": None,
    "empty": b"",
    "no JSON": b"{",
    "no UTF-8": b'{"a": "\xff"}',
    "deep lists": b"[" * 200_000 + b"]" * 200_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a long number": DIGITS.encode(),
    "NaN": b"NaN",
    "a list": b"[1]",
    "a byte-order mark": b"\xef\xbb\xbf{}",
    "a lone surrogate": b'{"product": "\\ud800"}',
    "a million names": b"{" + b",".join(b'"%d":0' % n for n in range(100_000)) + b"}",
}
ODD = [
    DIGITS,
    f"-{DIGITS}",
    "1e999",
    "-1e999",
    "NaN",
    "Infinity",
    "1e-999",
    "null",
    "[]",
    "{}",
    '"\\ud800"',
    "0.5",
    '"x"',
]


def odd_fields(message: type[JsonMessage]) -> Iterator[bytes]:
    """Yield a value for each field that is odd, the others left out or in place of a good example."""
    for name in message.model_fields:
        for odd in ODD:
            yield f"{{{json.dumps(name)}: {odd}}}".encode()
            yield f"{{{json.dumps(name)}: [{odd}, {{{json.dumps(name)}: {odd}}}]}}".encode()


def deliver(message: type[JsonMessage], value: bytes | None) -> list[PoisonMessage]:
    """Return what both ways of reading a value refuse."""
    record = Record(Partition("t", 0), 0, b"k", value, (), 0)
    refused: list[PoisonMessage] = []
    list(decoded([record], message, lambda _, error: refused.append(error)))
    Subscription("t", message, lambda *_: None, lambda _, error: refused.append(error)).deliver(record)
    return refused


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_a_hostile_value_is_poison(message: type[JsonMessage], value: bytes | None) -> None:
    refused = deliver(message, value)
    assert len(refused) == 2
    assert all(len(str(error)) < 1_000 for error in refused)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
def test_odd_numbers_and_types_in_any_field_are_poison(message: type[JsonMessage]) -> None:
    for value in odd_fields(message):
        assert all(len(str(error)) < 1_000 for error in deliver(message, value))


CROWD = 20_000


def crowds(model: type[Part]) -> Iterator[dict[str, Any]]:
    """Yield a message for each list and table in it, at any depth, that has nothing but wrong entries."""
    for name, field in model.model_fields.items():
        yield from ({name: value} for value in _crowded(field.annotation))


def _crowded(kind: Any) -> Iterator[Any]:
    inner = get_args(kind)
    if get_origin(kind) is list:
        yield [{}] * CROWD
        yield from ([value] for value in _crowded(inner[0]))
    elif get_origin(kind) is dict:
        yield {f"k{number}": {} for number in range(CROWD)}
        yield from ({"k": value} for value in _crowded(inner[1]))
    elif isinstance(kind, type) and issubclass(kind, Part):
        yield from crowds(kind)
    else:
        yield from (value for part in inner for value in _crowded(part))


@pytest.mark.parametrize("message", MESSAGES)
def test_wrong_entries_by_the_thousand_are_one_fault(message: type[JsonMessage]) -> None:
    for value in crowds(message):
        with pytest.raises(MalformedMessage) as refused:
            message.decode(json.dumps(value).encode())
        assert isinstance(refused.value.__cause__, ValidationError)
        assert refused.value.__cause__.error_count() < 100


def test_the_crowds_reach_every_list_and_table() -> None:
    assert sum(1 for message in MESSAGES for _ in crowds(message)) >= 14


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("entry", [b"[]", b"{}", b"1", b'""'])
def test_a_refusal_needs_little_more_memory_than_the_json_itself(
    message: type[JsonMessage], entry: bytes
) -> None:
    value = b'{"x":[' + b",".join([entry] * 100_000) + b"]}"
    tracemalloc.start()
    try:
        with pytest.raises(MalformedMessage):
            message.decode(value)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 60 * len(value)
