"""Connects the declared instruments to OpenTelemetry: Prometheus for pulls, OTLP for pushes."""

from collections.abc import Mapping

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from steadyline.settings import TelemetrySettings
from steadyline.telemetry.metrics.instrument import Backend, Instrument, all_instruments

OTLP_INTERVAL_MS = 15_000


def start_metrics(service: str, settings: TelemetrySettings) -> MeterProvider:
    """Give every declared instrument its backend; ``shutdown`` the provider at the end."""
    readers: list[MetricReader] = [PrometheusMetricReader(disable_target_info=True)]
    if settings.otel_exporter_otlp_endpoint is not None:
        endpoint = settings.otel_exporter_otlp_endpoint.rstrip("/") + "/v1/metrics"
        exporter = OTLPMetricExporter(endpoint=endpoint, timeout=5)
        readers.append(PeriodicExportingMetricReader(exporter, OTLP_INTERVAL_MS))
    provider = MeterProvider(readers, Resource.create({"service.name": service}), shutdown_on_exit=False)
    meter = provider.get_meter("steadyline")
    for instrument in all_instruments():
        instrument.backend = _backend(meter, instrument)
    return provider


def stop_metrics(provider: MeterProvider) -> None:
    """Flush, and leave the instruments free of cost again."""
    for instrument in all_instruments():
        instrument.backend = None
    provider.shutdown()


def _backend(meter: Meter, instrument: Instrument) -> Backend:
    if instrument.kind == "counter":
        # The Prometheus exporter adds _total again.
        counter = meter.create_counter(instrument.name.removesuffix("_total"), description=instrument.help)

        def add(value: float, attributes: Mapping[str, str]) -> None:
            counter.add(value, dict(attributes))

        return add
    if instrument.kind == "gauge":
        gauge = meter.create_gauge(instrument.name, description=instrument.help)

        def set_(value: float, attributes: Mapping[str, str]) -> None:
            gauge.set(value, dict(attributes))

        return set_
    histogram = meter.create_histogram(
        instrument.name,
        description=instrument.help,
        explicit_bucket_boundaries_advisory=list(instrument.buckets),
    )

    def record(value: float, attributes: Mapping[str, str]) -> None:
        histogram.record(value, dict(attributes))

    return record
