"""The generated documents are what the code says, and the generator refuses what says nothing of itself."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from jsonschema import Draft7Validator, Draft202012Validator
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel, Field

from producers.sources.address import parse_source
from steadyline.contracts.catalogue import KINDS, MessageKind
from steadyline.contracts.message import JsonMessage
from steadyline.contracts.topics import line_topics
from steadyline.errors import PoisonMessage
from steadyline.line import Line, load_line
from steadyline.settings import Settings, TelemetrySettings, variable_names
from steadyline.telemetry.export import start_metrics
from steadyline.telemetry.instrument import Counter, Gauge, Histogram, Instrument, all_instruments
from tests.packaging.rules import ROOT, sources
from tests.support.golden import Golden, goldens
from tests.support.messages import json_messages
from tools.docs import asyncapi, metrics, reasons
from tools.docs.code_search import readers_of, settings_classes
from tools.docs.configuration import EXAMPLE, all_settings, sections
from tools.docs.documents import SCHEMAS, documents
from tools.docs.fields import fields_of
from tools.docs.messages import JSON_KINDS, schema_name
from tools.docs.schema import Undescribed, message_schema
from tools.docs.wire_headers import headers_of
from tools.packages import PACKAGES, PLANNED, SERVICES

GOLDENS = list(goldens())
TOPICS = line_topics("steadyline", 8)


@pytest.fixture(scope="module")
def made() -> dict[Path, str]:
    return documents()


def test_the_documents_are_what_the_code_says(made: dict[Path, str]) -> None:
    there = {path: (ROOT / path).read_text(encoding="utf-8") for path in made if (ROOT / path).exists()}
    assert [str(path) for path in made if there.get(path) != made[path]] == [], "`make docs` writes them"


def test_no_schema_is_left_of_a_message_that_is_gone(made: dict[Path, str]) -> None:
    there = {path.relative_to(ROOT) for path in (ROOT / SCHEMAS).iterdir()}
    assert there - made.keys() == set(), "`make docs` removes them"


def schema_of(kind: str) -> dict[str, Any]:
    """Return the checked-in schema of a message."""
    schema: dict[str, Any] = json.loads((ROOT / SCHEMAS / schema_name(kind)).read_text(encoding="utf-8"))
    return schema


def header_schema(kind: MessageKind) -> dict[str, Any]:
    """Return the schema of a kind's headers as one object of texts."""
    message: dict[str, Any] = asyncapi.document()["components"]["messages"][kind.name]
    return dict(message["headers"])


@pytest.mark.parametrize("kind", [kind.name for kind in JSON_KINDS])
def test_a_schema_is_one_of_draft_2020_12(kind: str) -> None:
    schema = schema_of(kind)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda golden: f"{golden.kind.name}-{golden.name}")
def test_a_golden_message_fits_its_schemas(golden: Golden) -> None:
    if golden.kind.model is not None:
        Draft202012Validator(schema_of(golden.kind.name)).validate(json.loads(golden.value))
    texts = {name: value.decode("utf-8", "replace") for name, value in golden.headers}
    Draft7Validator(header_schema(golden.kind)).validate(texts)


@given(json_messages)
def test_whatever_is_written_fits_its_schema(message: JsonMessage) -> None:
    (kind,) = [kind for kind in JSON_KINDS if kind.model is type(message)]
    assert (
        list(Draft202012Validator(message_schema(kind.model)).iter_errors(json.loads(message.encode()))) == []
    )


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"frame": None}, "$.frame"),
        ({"verdict": "fine"}, "$.verdict"),
        ({"p_value": 0}, "$.p_value"),
        ({"score": "high"}, "$.score"),
        ({"source_offset": -1}, "$.source_offset"),
        ({"peak": {"x": 0.5, "y": 2, "value": 1}}, "$.peak.y"),
        ({"peak": {"x": 0.5, "y": 1}}, "$.peak"),
    ],
)
def test_a_schema_refuses_what_a_reader_would(change: dict[str, Any], at: str) -> None:
    golden = next(golden for golden in GOLDENS if golden.kind.name == "score")
    wrong = json.loads(golden.value) | change
    found = Draft202012Validator(schema_of("score")).iter_errors(wrong)
    assert [error.json_path for error in found] == [at]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_header_schemas_refuse_a_message_of_another_kind(kind: MessageKind) -> None:
    other = next(golden for golden in GOLDENS if golden.kind.name not in (kind.name, "dead-letter"))
    texts = {name: value.decode() for name, value in other.headers}
    assert list(Draft7Validator(header_schema(kind)).iter_errors(texts))


def references(node: Any) -> Iterator[str]:
    """Yield every ``$ref`` below a node."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def resolve(document: dict[str, Any], reference: str) -> Any:
    """Return what a reference within the document points to; KeyError when that is nothing."""
    found: Any = document
    assert reference.startswith("#/")
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def test_the_asyncapi_document_names_every_topic_and_who_writes_and_reads_it() -> None:
    document = yaml.safe_load((ROOT / "docs/asyncapi.yaml").read_text(encoding="utf-8"))
    assert document["asyncapi"] == "3.0.0"
    addresses = {channel["address"].format(prefix="steadyline") for channel in document["channels"].values()}
    assert addresses == {topic.name for topic in TOPICS}
    told = {
        (
            resolve(document, operation["channel"]["$ref"])["address"].format(prefix="steadyline"),
            operation["tags"][0]["name"],
            operation["action"],
        )
        for operation in document["operations"].values()
    }
    assert told == {(topic.name, *one) for topic in TOPICS for one in asyncapi.services_of(topic)}
    assert {
        ("steadyline.frames.v1", "producers", "send"),
        ("steadyline.frames.v1", "scorer", "receive"),
    } <= told


def test_each_writer_and_reader_of_a_topic_that_is_built_has_its_operation() -> None:
    several = replace(TOPICS.model_commands, writers=("console", "steadyline", "scorer"))
    assert list(asyncapi.services_of(several)) == [
        ("steadyline", "send"),
        ("scorer", "send"),
        ("trainer", "receive"),
    ]


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = asyncapi.document()
    found = set(references(document))
    assert len(found) > 20
    assert all(resolve(document, reference) for reference in found)


def test_the_examples_of_the_asyncapi_document_fit_its_own_schemas() -> None:
    document = asyncapi.document()
    checked = 0
    for message in document["components"]["messages"].values():
        for example in message.get("examples", ()):
            schema = {**message["payload"], "components": document["components"]}
            Draft7Validator(schema).validate(example["payload"])
            Draft7Validator(message["headers"]).validate(example["headers"])
            checked += 1
    assert checked == sum(golden.kind.model is not None for golden in GOLDENS)


def test_the_registry_names_services_that_are_there_or_planned() -> None:
    named = {service for topic in TOPICS for service in (*topic.writers, *topic.readers)}
    assert named - {*PACKAGES, *PLANNED} == set()


def test_services_use_the_topics_that_the_registry_says() -> None:
    fields = {field: {*topic.writers, *topic.readers} for field, topic in TOPICS.by_field().items()}
    wrong = [
        f"{source.name}: {field}"
        for source in sources()
        if source.folder in SERVICES
        for field, services in fields.items()
        if f"opics.{field}" in source.text.replace("opics().", "opics.") and source.folder not in services
    ]
    assert wrong == []


def measure(instrument: Instrument) -> None:
    """Make one measurement, so that the metric is shown."""
    labels = {name: sorted(values)[0] if values else "x" for name, values in instrument.labels.items()}
    match instrument:
        case Counter():
            instrument.add(1, **labels)
        case Gauge():
            instrument.set(1, **labels)
        case Histogram():
            instrument.record(1, **labels)


def test_metrics_have_the_names_kinds_and_labels_that_prometheus_sees() -> None:
    listed = [one for _, found in metrics.metric_groups() for one in found]
    running = start_metrics("test", TelemetrySettings())
    try:
        for instrument in listed:
            measure(instrument)
        families = list(text_string_to_metric_families(running.text().decode()))
    finally:
        running.stop()
    shown = {
        f"{family.name}_total" if family.type == "counter" else family.name: (
            family.type,
            {label for sample in family.samples for label in sample.labels} - {"le"},
        )
        for family in families
        if not family.name.startswith(("process_", "python_"))
    }
    assert shown == {one.name: (one.kind, set(one.labels)) for one in listed}


def test_every_declared_metric_is_on_the_page() -> None:
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    assert [one.name for one in all_instruments() if f"| `{one.name}` |" not in page] == []


def test_the_example_of_a_line_file_is_read_and_names_every_field() -> None:
    path = ROOT / EXAMPLE
    line = load_line(path)
    for camera in line.cameras:
        parse_source(camera.id, camera.source, path.parent)
    assert names_every_field(Line, yaml.safe_load(path.read_text(encoding="utf-8"))) == []


def names_every_field(model: type[BaseModel], given: Any) -> list[str]:
    """Return the fields of a model and below that a file does not name."""
    missing = []
    for path, section in sections(model):
        place = given
        for part in path.split(".") if path else ():
            place = place["cell"] if part == "NAME" else place[part.removesuffix("[]")]
            place = place[0] if part.endswith("[]") else place
        missing += [f"{path}.{name}" for name in section.model_fields if name not in place]
    return missing


def test_every_settings_class_is_on_the_page_and_read_by_somebody() -> None:
    assert {cls.__name__ for cls in all_settings()} == set(settings_classes())
    page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    assert [name for name in variable_names(all_settings()) if f"| `{name}` |" not in page] == []
    assert [cls.__name__ for cls in all_settings() if not readers_of(cls.__name__)] == []
    assert "`STEADYLINE_LINE`" in page


class Silent(Settings):
    """Settings with a field that says nothing."""

    loud: int = 1


class Mute(BaseModel):
    loud: int = Field(1, description="Said.")


class Told(JsonMessage):
    """A message with a part that has no docstring."""

    part: Mute = Field(description="Said.")


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (Silent, "Silent.loud has no description"),
        (Mute, "Mute has no docstring"),
        (Told, "Mute has no docstring"),
    ],
)
def test_a_model_that_says_nothing_of_itself_is_refused(model: type[BaseModel], problem: str) -> None:
    with pytest.raises(Undescribed, match=problem):
        fields_of(model)


@pytest.mark.parametrize(
    ("instrument", "problem"),
    [
        (Counter("counter", "scorer_things_total", " ", {}), "has no description"),
        (Gauge("gauge", "scorer_things", "Things.", {}), "does not end in a unit"),
        (
            Counter("counter", "scorer_things_total", "Things.", {"colour": None}),
            "what the label colour holds",
        ),
    ],
)
def test_a_metric_that_says_too_little_is_refused(instrument: Instrument, problem: str) -> None:
    with pytest.raises(Undescribed, match=problem):
        metrics.row(instrument)


def test_a_metric_declared_in_another_place_is_refused() -> None:
    stray = Counter("counter", "stray_total", "Strays.", {})
    with pytest.raises(Undescribed, match="stray_total"):
        metrics.check_homes([], [stray])


def test_a_header_that_nothing_describes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = next(kind for kind in KINDS if kind.name == "frame")
    monkeypatch.delitem(headers_of.__globals__["_FRAME"], "epoch")
    with pytest.raises(Undescribed, match="headers of frame: epoch"):
        headers_of(kind)


def test_an_error_without_a_word_of_its_own_is_refused() -> None:
    class Nameless(PoisonMessage):
        """Means something."""

    Nameless.__module__ = PoisonMessage.__module__
    try:
        with pytest.raises(Undescribed, match="Nameless has no reason of its own"):
            list(reasons.reason_words(PoisonMessage))
    finally:
        Nameless.__module__ = __name__
