"""A small OTLP/HTTP collector: takes protobuf on /v1/traces and /v1/metrics, and keeps what it was sent."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from typing_extensions import override


@dataclass(frozen=True, slots=True)
class SeenSpan:
    """One span of one service; ids as hex."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    links: list[tuple[str, str]]  # trace id, span id
    error: str
    nanoseconds: int


@dataclass(slots=True)
class Collector:
    """``points``: (service, metric, labels) → the newest value; of a histogram its count."""

    url: str
    spans: list[SeenSpan] = field(default_factory=list)
    points: dict[tuple[str, str, frozenset[tuple[str, str]]], float] = field(default_factory=dict)
    instances: set[tuple[str, str]] = field(default_factory=set)
    requests: int = 0
    token: str = ""  # what the header Authorization must be, where it must be anything

    def named(self, service: str, name: str) -> list[SeenSpan]:
        """Return the spans of a service by name."""
        return [span for span in list(self.spans) if (span.service, span.name) == (service, name)]

    def metric(self, service: str, name: str, **labels: str) -> float:
        """Return the sum over the series of a metric that have these labels; 0 when it has not come."""
        wanted = set(labels.items())
        found = [
            (labelled, value) for (*of, labelled), value in list(self.points.items()) if of == [service, name]
        ]
        return sum(value for labelled, value in found if wanted <= labelled)

    def take_traces(self, body: bytes) -> bytes:
        """Keep the spans of one request."""
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = self._service(resource.resource.attributes)
            for scope in resource.scope_spans:
                self.spans.extend(_seen(service, span) for span in scope.spans)
        return bytes(ExportTraceServiceResponse().SerializeToString())

    def take_metrics(self, body: bytes) -> bytes:
        """Keep the newest value of each series of one request."""
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            service = self._service(resource.resource.attributes)
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    kind = metric.WhichOneof("data")
                    for point in getattr(metric, str(kind)).data_points:
                        labels = frozenset((item.key, item.value.string_value) for item in point.attributes)
                        self.points[service, metric.name, labels] = _number(kind, point)
        return bytes(ExportMetricsServiceResponse().SerializeToString())

    def _service(self, attributes: Any) -> str:
        found = _texts(attributes)
        self.instances.add((found["service.name"], found["service.instance.id"]))
        return str(found["service.name"])


@contextmanager
def collecting(tls: ssl.SSLContext | None = None, port: int = 0) -> Iterator[Collector]:
    """Yield a collector that listens on a port of loopback, by default a free one; https:// with ``tls``."""
    made = Collector("")
    server = _CollectorServer(("127.0.0.1", port), _handler(made))
    made.url = f"http{'s' if tls is not None else ''}://127.0.0.1:{server.server_port}"
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, name="collector", daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


class _CollectorServer(ThreadingHTTPServer):
    daemon_threads = True

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that ends the handshake is no news."""


def _handler(collector: Collector) -> type[BaseHTTPRequestHandler]:
    routes = {"/v1/traces": collector.take_traces, "/v1/metrics": collector.take_metrics}

    class CollectorRequestHandler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.requests += 1
            if collector.token and self.headers["Authorization"] != collector.token:
                self.send_error(401)
                return
            take = routes.get(self.path)
            is_protobuf = self.headers["Content-Type"] == "application/x-protobuf"
            answer = take(body) if take is not None and is_protobuf else b""
            self.send_response(200 if take is not None and is_protobuf else 404)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        @override
        def log_message(self, format: str, *args: Any) -> None:
            """Requests are not news."""

    return CollectorRequestHandler


def _seen(service: str, span: Span) -> SeenSpan:
    return SeenSpan(
        service=service,
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        attributes=_texts(span.attributes),
        links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        error=span.status.message if span.status.code == span.status.STATUS_CODE_ERROR else "",
        nanoseconds=span.end_time_unix_nano - span.start_time_unix_nano,
    )


def _texts(attributes: Any) -> dict[str, Any]:
    pairs: list[KeyValue] = list(attributes)
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return None if kind is None else getattr(value, kind)


def _number(kind: str | None, point: Any) -> float:
    if kind == "histogram":
        return float(point.count)
    return float(getattr(point, point.WhichOneof("value")))
