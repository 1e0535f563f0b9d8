"""Traces that follow one frame through Kafka headers, as W3C traceparent strings.

Without an OTLP endpoint no span is recorded. Ids are still made and passed on, which costs about two
microseconds.
"""

import contextvars
import os
import random
import re
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from steadyline.settings import TelemetrySettings

Kind = Literal["internal", "producer", "consumer"]

EXPORT_SECONDS = 5  # for the whole flush at the end
_KINDS = {"internal": SpanKind.INTERNAL, "producer": SpanKind.PRODUCER, "consumer": SpanKind.CONSUMER}
_current: contextvars.ContextVar["ActiveSpan | None"] = contextvars.ContextVar("span", default=None)
# W3C Trace Context: lower-case hex only. A later version may append fields, which are ignored.
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_random = random.Random(int.from_bytes(os.urandom(16), "big"))


class _Tracing:
    """The tracer of the process, which is None until an endpoint is configured."""

    tracer: trace.Tracer | None = None
    provider: TracerProvider | None = None


class ActiveSpan:
    """One running span; ``traceparent`` is the string to send on."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, traceparent: str, span: trace.Span | None) -> None:
        self.traceparent, self._span = traceparent, span

    def set(self, **attributes: Any) -> None:
        """Add attributes, without cost when nothing is recorded."""
        if self._span is not None:
            self._span.set_attributes(attributes)

    def fail(self, reason: str) -> None:
        """Mark the span as failed, with the reason word."""
        if self._span is not None:
            self._span.set_status(Status(StatusCode.ERROR, reason))

    def end(self) -> None:
        """End the span; needed only for spans of ``start_span``."""
        if self._span is not None:
            self._span.end()


def configure_tracing(service: str, settings: TelemetrySettings) -> None:
    """Record and export spans when an OTLP endpoint is configured; otherwise only pass ids on."""
    from steadyline.telemetry.otlp import span_exporter  # it logs, and logs carry the ids of this module

    exporter = span_exporter(settings)
    if exporter is None:
        return
    provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    _Tracing.provider = provider
    _Tracing.tracer = provider.get_tracer("steadyline")


def stop_tracing() -> None:
    """Flush for at most ``EXPORT_SECONDS`` and drop the exporter."""
    provider, _Tracing.provider, _Tracing.tracer = _Tracing.provider, None, None
    if provider is not None:
        # It has no deadline of its own: a silent collector delayed an exit by 25 s, 5 s for each queued
        # batch.
        flush = threading.Thread(target=provider.shutdown, name="last-spans", daemon=True)
        flush.start()
        flush.join(EXPORT_SECONDS)


def start_span(
    name: str,
    *,
    parent: str | None = None,
    links: Sequence[str] = (),
    attributes: Mapping[str, Any] | None = None,
    kind: Kind = "internal",
) -> ActiveSpan:
    """Start a span that another thread may end; ``parent`` and ``links`` are traceparent strings."""
    context = parse_traceparent(parent)
    if _Tracing.tracer is None:
        trace_id = context.trace_id if context is not None else _random.getrandbits(128) or 1
        flags = context.trace_flags if context is not None else TraceFlags.SAMPLED
        return ActiveSpan(_traceparent(trace_id, _random.getrandbits(64) or 1, flags), None)
    linked = [Link(found) for text in links if (found := parse_traceparent(text)) is not None]
    # Pass an empty context instead of None, with which OpenTelemetry would look for a parent of its own.
    around = Context() if context is None else trace.set_span_in_context(NonRecordingSpan(context), Context())
    span = _Tracing.tracer.start_span(name, around, _KINDS[kind], dict(attributes or {}), linked)
    ids = span.get_span_context()
    return ActiveSpan(_traceparent(ids.trace_id, ids.span_id, ids.trace_flags), span)


class SpanBlock:
    """The context manager of ``span``: entering it makes the span the current one of this thread."""

    __slots__ = ("_active", "_token")

    def __init__(self, active: ActiveSpan) -> None:
        self._active = active

    def __enter__(self) -> ActiveSpan:
        self._token = _current.set(self._active)
        return self._active

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        _current.reset(self._token)
        if error is not None:
            self._active.fail(getattr(error, "reason", type(error).__name__))
        self._active.end()


def span(
    name: str,
    *,
    parent: str | None = None,
    links: Sequence[str] = (),
    attributes: Mapping[str, Any] | None = None,
    kind: Kind = "internal",
) -> SpanBlock:
    """Run a block inside a span whose ids its logs carry; the enclosing span is the default parent."""
    enclosing = _current.get()
    if parent is None and enclosing is not None:
        parent = enclosing.traceparent
    return SpanBlock(start_span(name, parent=parent, links=links, attributes=attributes, kind=kind))


def current_ids() -> tuple[str, str] | None:
    """Return (trace id, span id) of the enclosing span as hex, or None outside of any span."""
    active = _current.get()
    if active is None:
        return None
    _, trace_id, span_id, _ = active.traceparent.split("-")
    return trace_id, span_id


def parse_traceparent(text: str | None) -> SpanContext | None:
    """Return the remote context, or None when it is missing or malformed; a new trace begins then."""
    match = _TRACEPARENT.fullmatch(text or "")
    if match is None or match[1] == "ff":
        return None
    flags = TraceFlags(int(match[4], 16))
    context = SpanContext(int(match[2], 16), int(match[3], 16), is_remote=True, trace_flags=flags)
    return context if context.is_valid else None


def _traceparent(trace_id: int, span_id: int, flags: int) -> str:
    return f"00-{trace_id:032x}-{span_id:016x}-{flags:02x}"
