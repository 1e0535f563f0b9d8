"""Every text, number and list of a message has a bound, so that one message cannot outgrow what copies it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from steadyline.contracts.camera_status import CameraStatus
from steadyline.contracts.message import JsonMessage
from steadyline.contracts.model_command import ModelCommand
from steadyline.contracts.model_event import ModelEvent, TrainingOrder
from steadyline.contracts.score import Peak, Score
from steadyline.errors import MalformedMessage
from tests.support.model_history import a_history

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BOUNDED = (ModelCommand, CameraStatus, Score, ModelEvent)
SAMPLES: dict[type[JsonMessage], JsonMessage] = {
    ModelCommand: ModelCommand(product="cell", action="promote", version=1, who="ann", at=NOON),
    CameraStatus: CameraStatus(
        camera="c1",
        product="cell",
        epoch=1,
        at=NOON,
        state="up",
        reason="capturing",
        sequence=9,
        captured=9,
        published=8,
        pending=0,
        dropped={"spool_full": 1},
        dropped_sequences=[(2, 2, "spool_full")],
        state_counts={"capturing": 1},
    ),
    Score: Score(
        frame="c1/1/9",
        camera="c1",
        product="cell",
        captured_at=NOON,
        scored_at=NOON,
        model_version=1,
        score=0.5,
        p_value=0.5,
        threshold=1.0,
        threshold_version=1,
        verdict="normal",
        peak=Peak(x=0.5, y=0.5, value=0.5),
        source_partition=0,
        source_offset=8,
        picture_uri="file:///store/picture.jpg",
        map_uri="file:///store/map.png",
        picture_sha256="0f" * 32,
    ),
    ModelEvent: a_history(2).model_copy(
        update={
            "commands_topic": "hT3bX-Q_RkOa1yq0vN5wZg",
            "sequence": 1,
            "fencing_token": 1,
            "best": {"clean_auroc": 1.0},
            "order": TrainingOrder(version=3, spec="{}"),
        }
    ),
}


def without_bound(schema: dict[str, Any], place: str = "$") -> Iterator[str]:
    """Yield the places of a JSON schema that take a text, a number or a list of any size."""
    kind = schema.get("type")
    closed = {"enum", "const", "format"} & schema.keys()
    if kind == "string" and not closed and "maxLength" not in schema:
        yield place
    if kind == "integer" and "maximum" not in schema:
        yield place
    if kind == "array" and "maxItems" not in schema:
        yield place
    if kind == "object" and "additionalProperties" in schema and "maxProperties" not in schema:
        yield place
    for name, part in schema.get("properties", {}).items():
        yield from without_bound(part, f"{place}.{name}")
    parts = [*schema.get("anyOf", []), *schema.get("prefixItems", [])]
    parts += [schema[name] for name in ("items", "additionalProperties", "propertyNames") if name in schema]
    for part in parts:
        if isinstance(part, dict):
            yield from without_bound(
                {"type": "string", **part} if part.keys() == {"maxLength"} else part, place
            )


@pytest.mark.parametrize("kind", BOUNDED)
def test_every_field_of_a_message_has_a_bound(kind: type[JsonMessage]) -> None:
    assert list(without_bound(kind.model_json_schema())) == []


def lies(value: Any) -> Iterator[Any]:
    """Yield values of the same type that are absurdly large, or far too many."""
    if isinstance(value, str):
        yield "A" * 900_000
    elif isinstance(value, int):
        yield from (10**30, 1 << 63, -1)
    elif isinstance(value, dict):
        yield {f"k{number}": 1 for number in range(100_000)}
        yield {"A" * 900_000: 1}
        if all(isinstance(part, int) for part in value.values()):  # a figure may be as large as it likes
            yield from ({"word": lie} for lie in lies(1))
    elif isinstance(value, list):
        yield [[number, number, "x"] for number in range(1, 100_001)]
        yield from ([[lie, lie, "x"]] for lie in lies(1))
        yield [[2, 2, "A" * 900_000]]
        yield [[5, 3, "x"]]
        yield [[2, 3, "x"], [3, 4, "x"]]
        yield [[2, 10, "x"]]


@pytest.mark.parametrize("kind", BOUNDED)
def test_an_absurd_value_in_any_field_is_poison(kind: type[JsonMessage]) -> None:
    honest = json.loads(SAMPLES[kind].encode())
    tried = 0
    for name, value in honest.items():
        for lie in lies(value):
            with pytest.raises(MalformedMessage) as caught:
                kind.decode(json.dumps({**honest, name: lie}).encode())
            assert len(str(caught.value)) < 500
            tried += 1
    assert tried >= len(honest)
