"""Strict JSON schemas of custom resources, made of their definitions."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

JsonSchema = dict[str, Any]

# Widths of numbers and the like: kubeconform knows no such formats, and Kubernetes checks them itself.
_FORMATS = ("int32", "int64", "float", "double", "byte", "password")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def definitions(paths: Iterable[Path]) -> Iterator[JsonSchema]:
    """Yield each CustomResourceDefinition of some files."""
    for path in paths:
        for document in yaml.load_all(path.read_text(encoding="utf-8"), Loader=_LOADER):
            if document and document.get("kind") == "CustomResourceDefinition":
                yield document


def custom_schemas(paths: Iterable[Path]) -> Iterator[tuple[str, JsonSchema]]:
    """Yield (``<group>/<kind>_<version>.json``, schema) of every version that is served."""
    for definition in definitions(paths):
        group, kind = definition["spec"]["group"], definition["spec"]["names"]["kind"]
        for version in definition["spec"]["versions"]:
            if version["served"]:
                name = f"{group}/{kind.lower()}_{version['name']}.json"
                yield name, _whole(version["schema"]["openAPIV3Schema"], f"{group}/{version['name']}", kind)


def _whole(published: JsonSchema, version: str, kind: str) -> JsonSchema:
    """Return the schema of one kind: it says which one, and takes no field beside the usual ones."""
    schema = _strict(published)
    properties = {
        **schema.get("properties", {}),
        "apiVersion": {"type": "string", "enum": [version]},
        "kind": {"type": "string", "enum": [kind]},
        "metadata": {"type": "object"},
    }
    required = sorted({"apiVersion", "kind", "metadata", *schema.get("required", [])})
    return {**schema, "properties": properties, "required": required, "additionalProperties": False}


def _strict(schema: JsonSchema) -> JsonSchema:
    """Return a schema without its texts, in which an object takes no field that is not named.

    What stands below ``allOf`` and its like only narrows values in a definition, and is left as it is.
    """
    made = {key: value for key, value in schema.items() if key != "description"}
    for key in ("items", "additionalProperties", "not"):
        if isinstance(made.get(key), dict):
            made[key] = _strict(made[key])
    if isinstance(made.get("properties"), dict):
        made["properties"] = {name: _strict(field) for name, field in made["properties"].items()}
        if not made.get("x-kubernetes-preserve-unknown-fields"):
            made.setdefault("additionalProperties", False)
    if made.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
        made.setdefault("anyOf", [{"type": "integer"}, {"type": "string"}])
    if made.pop("nullable", False) and "type" in made:
        made["type"] = [made["type"], "null"]
    if made.get("format") in _FORMATS or made.get("x-kubernetes-int-or-string"):
        made.pop("format", None)
    if not _is_portable(made.get("pattern", "")):
        made.pop("pattern")
    made.pop("x-kubernetes-validations", None)
    return made


def _is_portable(pattern: str) -> bool:
    """Tell whether a pattern, written for Go, is one of Python too; the API server holds the others."""
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True
