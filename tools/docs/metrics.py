"""``docs/metrics.md``: every declared metric, as Prometheus shows it."""

from collections.abc import Iterator, Sequence
from importlib import import_module
from types import ModuleType

from steadyline.telemetry.instrument import Instrument, all_instruments
from tools.docs.code_search import importers_of, metric_modules
from tools.docs.markdown import NOTICE, code, table, words
from tools.docs.schema import Undescribed
from tools.packages import SERVICES

# What a label may hold where its values are not fixed in its declaration.
LABELS = {
    "camera": "a camera of the line file",
    "product": "a product of the line file",
    "part": "what `/readyz` names: a server, a model, a task that is held",
    "partition": "a partition of the topic",
    "method": "the method of the request",
    "route": "the path as it is declared, never as it was sent",
    "status": "the HTTP status of the answer",
    "topic": "a topic of the line",
    "reason": "a [reason word](contracts.md#reasons)",
    "transform": "a way to make pseudo-anomalies",
}
# The end of a name (without _total) → unit.
UNITS = {
    "seconds": "seconds",
    "bytes": "bytes",
    "frames": "frames",
    "messages": "messages",
    "pixels": "pixels",
    "ratio": "0 to 1",
    "info": "0 or 1",
    "up": "0 or 1",
    "version": "version",
}
_LOOPS = "steadyline.kafka.metrics"
_INTRO = """
Every process serves `/metrics` in Prometheus' text format beside `/livez` and `/readyz`
(`STEADYLINE_HEALTH_HOST`, `STEADYLINE_HEALTH_PORT`), and pushes the same over OTLP when
`OTEL_EXPORTER_OTLP_ENDPOINT` is set. Python's own `process_*` and `python_gc_*` are there too. A histogram
appears as `_bucket`, `_sum` and `_count`. A measurement with a label or a value that is not listed here
raises, so nothing else is exported.
"""


def page() -> str:
    """Return the page; raises Undescribed."""
    groups = list(metric_groups())
    check_homes([one for _, found in groups for one in found], all_instruments())
    parts = [NOTICE, "# Metrics", _INTRO]
    for module, instruments in groups:
        parts += [_heading(module), table(_HEAD, (row(instrument) for instrument in instruments))]
    return "\n".join(parts)


def metric_groups() -> Iterator[tuple[ModuleType, list[Instrument]]]:
    """Yield (module, its metrics in order of declaration)."""
    for name in metric_modules():
        module = import_module(name)
        found = [value for value in vars(module).values() if isinstance(value, Instrument)]
        if found:
            yield module, found


def check_homes(listed: Sequence[Instrument], every: Sequence[Instrument]) -> None:
    """Raise Undescribed when a metric is declared in another place than a package's ``metrics.py``."""
    known = {one.name for one in listed}
    homeless = [one.name for one in every if one.name not in known]
    if homeless:
        raise Undescribed(f"declared outside of {words(metric_modules())}: {', '.join(homeless)}")


_HEAD = ("metric", "kind", "unit", "labels", "description")


def row(instrument: Instrument) -> tuple[str, ...]:
    """Return a metric's row; raises Undescribed when its help, unit or a label is unknown."""
    if not instrument.help.strip():
        raise Undescribed(f"metric {instrument.name} has no description")
    labels = "<br>".join(_label(instrument, name) for name in instrument.labels)
    described = instrument.help
    if instrument.buckets:
        described += f" Buckets: {', '.join(f'{bound:g}' for bound in instrument.buckets)}."
    return code(instrument.name), instrument.kind, _unit(instrument), labels or "–", described


def _unit(instrument: Instrument) -> str:
    words_ = instrument.name.removesuffix("_total").split("_")
    if words_[-1] in UNITS:
        return UNITS[words_[-1]]
    if instrument.kind != "counter":
        raise Undescribed(f"metric {instrument.name} does not end in a unit of UNITS: {', '.join(UNITS)}")
    return "frames" if "frames" in words_ else "count"


def _label(instrument: Instrument, name: str) -> str:
    allowed = instrument.labels[name]
    if allowed is not None:
        return f"{code(name)}: {words(sorted(allowed))}"
    if name not in LABELS:
        raise Undescribed(f"metric {instrument.name}: LABELS does not say what the label {name} holds")
    return f"{code(name)}: {LABELS[name]}"


def _heading(module: ModuleType) -> str:
    package = module.__name__.split(".", 1)[0]
    is_core = package == "steadyline"
    said = (module.__doc__ or "").splitlines()[0]
    exporters = _exporters_of_the_core(module) if is_core else words([package])
    rooms = module.__name__.split(".")[1:-1]
    name = "core" if module.__name__ == _LOOPS else " ".join(["core" if is_core else package, *rooms])
    return f"## {name}\n{said} Exported by: {exporters}.\n"


def _exporters_of_the_core(module: ModuleType) -> str:
    if module.__name__ != _LOOPS:
        return words(sorted(SERVICES))
    loop, kafka = (
        words(sorted(set(importers_of(module))))
        for module in ("steadyline.kafka.loop.stream_loop", "steadyline.kafka.client.broker")
    )
    return f"{loop} (`loop_*`); {kafka} (`kafka_*`)"
