"""Trace ids are made and passed on as W3C strings, recorded or not."""

import re
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadyline.telemetry.tracing import current_ids, parse_traceparent, span, start_span

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SHAPE = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def trace_of(traceparent: str) -> str:
    return traceparent.split("-")[1]


def test_a_span_without_parent_begins_a_new_trace() -> None:
    first, second = start_span("a"), start_span("a")
    assert SHAPE.fullmatch(first.traceparent)
    assert trace_of(first.traceparent) != trace_of(second.traceparent)


def test_a_child_keeps_the_trace_and_has_an_id_of_its_own() -> None:
    child = start_span("score", parent=PARENT).traceparent
    assert trace_of(child) == trace_of(PARENT)
    assert child.split("-")[2] != PARENT.split("-")[2]


def test_what_is_not_sampled_stays_so() -> None:
    assert start_span("score", parent=PARENT[:-2] + "00").traceparent.endswith("-00")


def test_an_enclosing_span_is_the_parent() -> None:
    with span("outer") as outer, span("inner") as inner:
        assert trace_of(inner.traceparent) == trace_of(outer.traceparent)
        assert current_ids() == tuple(inner.traceparent.split("-")[1:3])
    assert current_ids() is None


def test_a_thread_begins_without_the_span_of_another() -> None:
    seen: list[object] = []
    with span("outer"):
        thread = threading.Thread(target=lambda: seen.append(current_ids()))
        thread.start()
        thread.join()
    assert seen == [None]


def test_the_current_span_is_restored_after_an_error() -> None:
    with span("outer") as outer:
        with pytest.raises(RuntimeError), span("inner"):
            raise RuntimeError
        assert current_ids() == tuple(outer.traceparent.split("-")[1:3])


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "x",
        PARENT.upper(),
        "ff" + PARENT[2:],
        "00-" + "0" * 32 + PARENT[35:],
        PARENT.replace("b7ad6b7169203331", "0" * 16),
        PARENT[:-1],
        PARENT.replace("0af7", "+af7"),
    ],
)
def test_a_malformed_parent_begins_a_new_trace(text: str | None) -> None:
    assert parse_traceparent(text) is None
    assert SHAPE.fullmatch(start_span("score", parent=text).traceparent)


def test_a_later_version_with_more_fields_is_understood() -> None:
    context = parse_traceparent("01" + PARENT[2:] + "-more")
    assert context is not None
    assert f"{context.trace_id:032x}" == trace_of(PARENT)


@given(st.text(max_size=80))
def test_no_header_text_can_raise(text: str) -> None:
    parse_traceparent(text)
