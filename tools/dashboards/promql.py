"""What can be said of a PromQL expression by its text: which metrics it names, and with which labels."""

import re
from collections.abc import Iterator, Mapping

from steadyline.telemetry.instrument import Instrument

# Of Prometheus itself and of the targets, as README.md of deploy/rules asks for them.
TARGET_LABELS = frozenset({"job", "instance", "line"})
# Metrics that are there without being declared: of the scrape, of Python, of the rules.
FOREIGN = re.compile(r"up|ALERTS|(?:process|python)_[a-z_]+|steadyline:[a-z0-9_:]+")
_OURS = re.compile(
    r"\b((?:certificate|health|kafka|loop|producers|scorer|trainer|alerts)_[a-z_]*[a-z])\b(?!\s*[=!]~?\s*\")"
)
_SELECTOR = re.compile(r"\b([a-z_:][a-z0-9_:]*)\{([^}]*)\}")
_MATCHER = re.compile(r'\s*([a-z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)"\s*')
_PLAIN_WORDS = re.compile(r"[a-z0-9_]+(?:\|[a-z0-9_]+)*")


def metrics_of(expression: str) -> set[str]:
    """Return our metrics that an expression names, parts of histograms as their histogram."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in _OURS.findall(expression)}


def problems(expression: str, known: Mapping[str, Instrument]) -> Iterator[str]:
    """Yield what an expression names that no process exports: metrics, labels, values of labels."""
    for name in sorted(metrics_of(expression) - known.keys()):
        yield f"no process exports {name}"
    for name, matchers in _SELECTOR.findall(expression):
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        if base in known:
            yield from _of_selector(known[base], matchers)
        elif not FOREIGN.fullmatch(name):
            yield f"{name} is neither ours nor of Prometheus"


def _of_selector(instrument: Instrument, matchers: str) -> Iterator[str]:
    for label, operator, value in _MATCHER.findall(matchers):
        if label in TARGET_LABELS or (label == "le" and instrument.kind == "histogram"):
            continue
        if label not in instrument.labels:
            yield f"{instrument.name} has no label {label}"
            continue
        allowed = instrument.labels[label]
        words = value.split("|") if operator in ("=~", "!~") and _PLAIN_WORDS.fullmatch(value) else [value]
        if allowed is None or not all(re.fullmatch(r"[a-z0-9_]+", word) for word in words):
            continue
        yield from (f"{instrument.name}: {label} is never {word}" for word in words if word not in allowed)
