"""JSON Schemas of pydantic models, as true and as short as they can be."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import DEFAULT_REF_TEMPLATE, GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema
from typing_extensions import override

from steadyline.contracts.message import JsonMessage
from tools.docs.markdown import prose

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NOT_FINITE = ["NaN", "Infinity", "-Infinity"]


class Undescribed(Exception):
    """Something that people configure, read or measure says nothing of itself."""


class _Plain(GenerateJsonSchema):
    """Without the titles that repeat the fields' names, and with numbers as they really are on the wire."""

    @override
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    @override
    def float_schema(self, schema: core_schema.FloatSchema) -> JsonSchemaValue:
        found = super().float_schema(schema)
        bounded = {"le", "lt"} & schema.keys() and {"ge", "gt"} & schema.keys()
        if self._config.ser_json_inf_nan != "strings" or bounded:
            return found
        return {"anyOf": [found, {"enum": NOT_FINITE}]}


def model_schema(model: type[BaseModel], ref_template: str = DEFAULT_REF_TEMPLATE) -> dict[str, Any]:
    """Return a model's schema with its parts under ``$defs``; raises Undescribed."""
    schema: dict[str, Any] = model.model_json_schema(ref_template=ref_template, schema_generator=_Plain)
    for part in (schema, *schema.get("$defs", {}).values()):
        _check(part)
        part["description"] = prose(part["description"])
    return schema


def message_schema(model: type[JsonMessage]) -> dict[str, Any]:
    """Return the schema of a message's value, as it is published."""
    return {"$schema": DIALECT, **model_schema(model)}


def _check(schema: dict[str, Any]) -> None:
    if not schema.get("description"):
        raise Undescribed(f"{schema['title']} has no docstring")
    for name, field in schema.get("properties", {}).items():
        if "description" not in field and not is_part(field):
            raise Undescribed(f"{schema['title']}.{name} has no description")


def is_part(field: dict[str, Any]) -> bool:
    """True when a field is one other model (or null), whose own description will do."""
    choices = [choice for choice in field.get("anyOf", [field]) if choice != {"type": "null"}]
    return len(choices) == 1 and "$ref" in choices[0]
