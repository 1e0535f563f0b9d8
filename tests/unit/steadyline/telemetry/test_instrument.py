"""Metrics are declared once, with their labels; anything else is a bug that shows at once."""

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from steadyline.telemetry import instrument
from steadyline.telemetry.instrument import all_instruments, counter, gauge, histogram


class KeptMeasurements:
    """A backend that keeps what it is given."""

    def __init__(self) -> None:
        self.measured: list[tuple[float, dict[str, str]]] = []

    def __call__(self, value: float, attributes: Mapping[str, str]) -> None:
        self.measured.append((value, dict(attributes)))


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """What a test declares is gone after it: the documents are held to the registry in the same process."""
    before = dict(instrument._DECLARED)
    yield
    instrument._DECLARED.clear()
    instrument._DECLARED.update(before)


def a_name(end: str) -> str:
    return f"test_{uuid.uuid4().hex}_{end}"


def test_a_measurement_before_telemetry_starts_is_accepted_and_free() -> None:
    counter(a_name("total"), "x").add()
    gauge(a_name("frames"), "x").set(3)
    histogram(a_name("seconds"), "x", buckets=(1, 2)).record(0.5)


def test_values_and_labels_reach_the_backend_as_text() -> None:
    instrument, kept = counter(a_name("total"), "x", labels=("partition",)), KeptMeasurements()
    instrument.backend = kept
    instrument.add(2, partition=7)
    assert kept.measured == [(2, {"partition": "7"})]


@pytest.mark.parametrize("labels", [{}, {"reason": "a", "camera": "c"}, {"camera": "c"}])
def test_other_labels_than_declared_are_refused(labels: dict[str, Any]) -> None:
    instrument = counter(a_name("total"), "x", labels=("reason",))
    with pytest.raises(ValueError, match="declared are"):
        instrument.add(**labels)


def test_a_reason_that_is_not_on_the_list_is_refused() -> None:
    instrument = counter(a_name("total"), "x", labels={"reason": ("known",)})
    instrument.add(reason="known")
    with pytest.raises(ValueError, match="reason='new' is not among"):
        instrument.add(reason="new")


def test_a_metric_declared_twice_is_refused() -> None:
    name = a_name("total")
    counter(name, "x")
    with pytest.raises(ValueError, match="declared twice"):
        counter(name, "x")


def test_a_counter_ends_in_total() -> None:
    with pytest.raises(ValueError, match="must end in _total"):
        counter(a_name("frames"), "x")


def test_the_registry_lists_what_was_declared() -> None:
    name = a_name("total")
    declared = counter(name, "What it counts.")
    assert declared in all_instruments()
    assert declared.help == "What it counts."
