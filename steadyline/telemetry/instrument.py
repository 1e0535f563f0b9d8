"""Counters, gauges and histograms: declared at import, without cost until telemetry starts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeVar

Kind = Literal["counter", "gauge", "histogram"]


class Backend(Protocol):
    """Takes one measurement; once telemetry has started, OpenTelemetry implements it."""

    def __call__(self, value: float, attributes: Mapping[str, str]) -> None: ...


@dataclass(slots=True)
class Instrument:
    """One declared metric; ``labels`` maps each label to its allowed values, or to None for any value."""

    kind: Kind
    name: str
    help: str
    labels: Mapping[str, frozenset[str] | None]
    buckets: tuple[float, ...] = ()
    backend: Backend | None = field(default=None, repr=False)

    def check(self, labels: Mapping[str, str]) -> None:
        """Raise ValueError on an undeclared label, a missing one, or a value that is not allowed."""
        if labels.keys() != self.labels.keys():
            raise ValueError(f"{self.name}: labels {sorted(labels)}, declared are {sorted(self.labels)}")
        for name, allowed in self.labels.items():
            if allowed is not None and labels[name] not in allowed:
                raise ValueError(f"{self.name}: {name}={labels[name]!r} is not among {sorted(allowed)}")

    def _measure(self, value: float, labels: Mapping[str, object]) -> None:
        texts = {name: str(value) for name, value in labels.items()}
        self.check(texts)
        if self.backend is not None:
            self.backend(value, texts)


class Counter(Instrument):
    """A number that only grows."""

    def add(self, amount: float = 1, **labels: object) -> None:
        """Add ``amount``; adding 0 makes the series visible."""
        self._measure(amount, labels)


class Gauge(Instrument):
    """The present value of something."""

    def set(self, value: float, **labels: object) -> None:
        """Replace the value."""
        self._measure(value, labels)


class Histogram(Instrument):
    """A distribution in the declared buckets."""

    def record(self, value: float, **labels: object) -> None:
        """Add one observation."""
        self._measure(value, labels)


T = TypeVar("T", bound=Instrument)
Labels = Sequence[str] | Mapping[str, Sequence[str] | None]
_DECLARED: dict[str, Instrument] = {}


def counter(name: str, help: str, labels: Labels = ()) -> Counter:
    """Declare a counter; its name ends in ``_total``."""
    if not name.endswith("_total"):
        raise ValueError(f"counter {name} must end in _total")
    return _declare(Counter("counter", name, help, _allowed(labels)))


def gauge(name: str, help: str, labels: Labels = ()) -> Gauge:
    """Declare a gauge."""
    return _declare(Gauge("gauge", name, help, _allowed(labels)))


def histogram(name: str, help: str, labels: Labels = (), *, buckets: Sequence[float]) -> Histogram:
    """Declare a histogram with the upper bounds of its buckets."""
    return _declare(Histogram("histogram", name, help, _allowed(labels), tuple(buckets)))


def all_instruments() -> list[Instrument]:
    """Return every metric declared so far, ordered by name."""
    return [_DECLARED[name] for name in sorted(_DECLARED)]


def _allowed(labels: Labels) -> dict[str, frozenset[str] | None]:
    if isinstance(labels, Mapping):
        return {name: None if values is None else frozenset(values) for name, values in labels.items()}
    return dict.fromkeys(labels)


def _declare(instrument: T) -> T:
    if instrument.name in _DECLARED:
        raise ValueError(f"metric {instrument.name} is declared twice")
    _DECLARED[instrument.name] = instrument
    return instrument
