"""Traces that follow one frame through Kafka headers: W3C traceparent strings in, strings out.

Without an OTLP endpoint no span is recorded; ids are made and passed on, which costs about a microsecond.
"""

import contextvars
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from steadyline.settings import TelemetrySettings

_current: contextvars.ContextVar["ActiveSpan | None"] = contextvars.ContextVar("span", default=None)
_random = random.Random(int.from_bytes(os.urandom(16), "big"))


class _Tracing:
    """The process's tracer; None until an endpoint is configured."""

    tracer: trace.Tracer | None = None
    provider: TracerProvider | None = None


class ActiveSpan:
    """One running span; ``traceparent`` is what to send on."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, traceparent: str, span: trace.Span | None) -> None:
        self.traceparent, self._span = traceparent, span

    def set(self, **attributes: Any) -> None:
        """Add attributes; free when nothing is recorded."""
        if self._span is not None:
            self._span.set_attributes(attributes)

    def fail(self, reason: str) -> None:
        """Mark the span as failed, with the reason word."""
        if self._span is not None:
            self._span.set_status(Status(StatusCode.ERROR, reason))

    def end(self) -> None:
        """End it; needed for spans of ``start_span`` only."""
        if self._span is not None:
            self._span.end()


def configure_tracing(service: str, settings: TelemetrySettings) -> None:
    """Record and export spans when an OTLP endpoint is configured; otherwise only pass ids on."""
    if settings.otel_exporter_otlp_endpoint is None:
        return
    endpoint = settings.otel_exporter_otlp_endpoint.rstrip("/") + "/v1/traces"
    provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, timeout=5)))
    _Tracing.provider = provider
    _Tracing.tracer = provider.get_tracer("steadyline")


def stop_tracing() -> None:
    """Flush and forget the exporter."""
    if _Tracing.provider is not None:
        _Tracing.provider.shutdown()
    _Tracing.provider = _Tracing.tracer = None


def start_span(
    name: str,
    *,
    parent: str | None = None,
    links: Sequence[str] = (),
    attributes: Mapping[str, Any] | None = None,
) -> ActiveSpan:
    """Start a span that another thread may end; ``parent`` and ``links`` are traceparent strings."""
    context = parse_traceparent(parent)
    if _Tracing.tracer is None:
        trace_id = context.trace_id if context is not None else _random.getrandbits(128) or 1
        return ActiveSpan(f"00-{trace_id:032x}-{_random.getrandbits(64) or 1:016x}-01", None)
    linked = [Link(found) for text in links if (found := parse_traceparent(text)) is not None]
    around = trace.set_span_in_context(NonRecordingSpan(context)) if context is not None else None
    kind = SpanKind.CONSUMER if parent is not None else SpanKind.PRODUCER
    span = _Tracing.tracer.start_span(name, around, kind, dict(attributes or {}), linked)
    ids = span.get_span_context()
    return ActiveSpan(f"00-{ids.trace_id:032x}-{ids.span_id:016x}-01", span)


@contextmanager
def span(
    name: str,
    *,
    parent: str | None = None,
    links: Sequence[str] = (),
    attributes: Mapping[str, Any] | None = None,
) -> Iterator[ActiveSpan]:
    """Run a block inside a span whose ids its logs carry; the enclosing span is the default parent."""
    enclosing = _current.get()
    if parent is None and enclosing is not None:
        parent = enclosing.traceparent
    active = start_span(name, parent=parent, links=links, attributes=attributes)
    token = _current.set(active)
    try:
        yield active
    except Exception as error:
        active.fail(getattr(error, "reason", type(error).__name__))
        raise
    finally:
        _current.reset(token)
        active.end()


def current_ids() -> tuple[str, str] | None:
    """Return (trace id, span id) of the enclosing span as hex, None outside of any."""
    active = _current.get()
    if active is None:
        return None
    _, trace_id, span_id, _ = active.traceparent.split("-")
    return trace_id, span_id


def parse_traceparent(text: str | None) -> SpanContext | None:
    """Return the remote context; None when there is none or it is malformed (a new trace is begun then)."""
    parts = (text or "").split("-")
    if len(parts) != 4 or len(parts[1]) != 32 or len(parts[2]) != 16:
        return None
    try:
        trace_id, span_id = int(parts[1], 16), int(parts[2], 16)
    except ValueError:
        return None
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return context if context.is_valid else None
