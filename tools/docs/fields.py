"""Fields for people: type, limits, default and description of each, from a model's JSON Schema."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, SecretStr, TypeAdapter
from pydantic.fields import FieldInfo

from steadyline.contracts.frame import NAME
from tools.docs.markdown import code, words
from tools.docs.schema import NOT_FINITE, model_schema

Schema = dict[str, Any]

_FORMATS = {"date-time": "time (RFC 3339)", "password": "secret", "path": "path", "duration": "duration"}
_LIMITS = {
    "minimum": "≥ {}",
    "ge": "≥ {}",
    "exclusiveMinimum": "> {}",
    "gt": "> {}",
    "maximum": "≤ {}",
    "le": "≤ {}",
    "exclusiveMaximum": "< {}",
    "lt": "< {}",
    "minItems": "{} or more",
    "maxItems": "{} at most",
    "minProperties": "{} or more",
}
_NAME = f"^{NAME.pattern}$"
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"))


@dataclass(frozen=True, slots=True)
class Described:
    """One field. ``default`` is empty when the field is required."""

    name: str
    type: str
    limits: str
    default: str
    description: str


def fields_of(model: type[BaseModel]) -> list[Described]:
    """Return a model's fields in order; raises Undescribed."""
    schema = model_schema(model)
    parts = schema.get("$defs", {})
    return [
        _field(name, schema["properties"][name], info, parts) for name, info in model.model_fields.items()
    ]


def parts_of(model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield (field name, model) of the models that fields are made of, in order."""
    for name, info in model.model_fields.items():
        for found in _models_in(info.annotation):
            yield name, found


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models_in(argument)


def _field(name: str, schema: Schema, info: FieldInfo, parts: Schema) -> Described:
    inner = _without_null(schema)
    described = schema.get("description") or parts[_reference(inner)]["description"].split("\n")[0]
    optional = " or null" if {"type": "null"} in schema.get("anyOf", ()) else ""
    return Described(name, type_of(inner) + optional, limits_of(inner), _default(name, info), described)


def type_of(schema: Schema) -> str:
    """Return a schema's type in words."""
    inner = _without_null(schema)
    if "$ref" in inner:
        part = _reference(inner)
        return f"[{part}](#{part.lower()})"
    if "enum" in inner:
        return words(inner["enum"])
    if "prefixItems" in inner:
        return f"[{', '.join(type_of(item) for item in inner['prefixItems'])}]"
    match inner["type"]:
        case "array":
            return f"list of {type_of(inner['items'])}"
        case "object":
            return f"map of {type_of(_values(inner))}"
        case "string" if inner.get("pattern") == _NAME:
            return "name"
        case "string":
            return _FORMATS.get(inner.get("format", ""), "string")
        case other:
            return str(other)


def limits_of(schema: Schema) -> str:
    """Return a schema's limits; empty when it has none."""
    found = [text.format(_limit(schema[key])) for key, text in _LIMITS.items() if key in schema]
    pattern = schema.get("pattern")
    if pattern is not None and pattern != _NAME:
        found.append(f"like {code(pattern)}")
    return ", ".join(found)


def duration(value: timedelta) -> str:
    """Return a duration as a line file has it: ``24h``."""
    seconds = value.total_seconds()
    for size, unit in _UNITS:
        if seconds and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def _limit(value: object) -> str:
    if isinstance(value, str):  # a duration
        return duration(TypeAdapter(timedelta).validate_python(value))
    return _number(value)


def _default(name: str, info: FieldInfo) -> str:
    if info.is_required():
        return ""
    if info.default_factory is not None:
        return "empty" if info.default_factory in (dict, list) else "worked out at the start"
    value: object = info.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, BaseModel):
        return "its defaults"
    if value is None or value == "":
        return "–"
    if isinstance(value, timedelta):
        return code(duration(value))
    if isinstance(value, bool):
        return code(str(value).lower())
    if name.endswith("_bytes") and isinstance(value, int):
        return f"{code(value)} ({value / (1 << 20):g} MiB)"
    return code(_number(value)) if isinstance(value, float) else code(value)


def _number(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    steps = value * 255  # of 8 bits: how the size of an attack is written
    return f"{steps:.0f}/255" if 0 < steps < 20 and abs(steps - round(steps)) < 1e-9 else f"{value:.6g}"


def _without_null(schema: Schema) -> Schema:
    """Return the one choice that is left without null and without the words for what is no number."""
    if "anyOf" not in schema:
        return schema
    left = [choice for choice in schema["anyOf"] if choice not in ({"type": "null"}, {"enum": NOT_FINITE})]
    assert len(left) == 1, schema
    return _without_null(left[0])


def _values(schema: Schema) -> Schema:
    """Return what a map's values are; the names of its keys may have a pattern."""
    values: Schema = schema.get("additionalProperties") or next(iter(schema["patternProperties"].values()))
    return values


def _reference(schema: Schema) -> str:
    return str(schema["$ref"]).rsplit("/", 1)[-1]
