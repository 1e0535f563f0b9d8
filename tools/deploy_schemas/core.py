"""Strict JSON schemas of the built-in kinds, made of Kubernetes' own OpenAPI document."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

JsonSchema = dict[str, Any]

# What a chart of ours may hold. Another kind is added here, and the schemas are made again.
KINDS = frozenset({
    "ClusterRole", "ClusterRoleBinding", "ConfigMap", "CronJob", "DaemonSet", "Deployment",
    "HorizontalPodAutoscaler", "Ingress", "Job", "Namespace", "NetworkPolicy", "PersistentVolume",
    "PersistentVolumeClaim", "Pod", "PodDisruptionBudget", "PriorityClass", "Role", "RoleBinding",
    "Secret", "Service", "ServiceAccount", "StatefulSet", "StorageClass", "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
})  # fmt: skip
_PREFIX = "#/definitions/"
_TEXT_OR_NUMBER = (
    "io.k8s.apimachinery.pkg.api.resource.Quantity",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
)
_DROPPED = ("description", "format")


def core_schemas(openapi: Path) -> Iterator[tuple[str, JsonSchema]]:
    """Yield (file name, schema) of each stable version of each of KINDS; every schema stands alone."""
    published: Mapping[str, JsonSchema] = json.loads(openapi.read_text(encoding="utf-8"))["definitions"]
    strict = {name: _strict(schema) for name, schema in published.items()}
    for name in _TEXT_OR_NUMBER:
        strict[name] = {"type": ["string", "number"]}
    for schema in strict.values():
        _allow_null(schema)
    for name, schema in published.items():
        for kind in _kinds(schema):
            yield _file_name(kind), _alone(strict, name, kind)


def _kinds(schema: JsonSchema) -> list[dict[str, str]]:
    """Return the one kind that a definition is the schema of, when it is one of ours and stable."""
    kinds: list[dict[str, str]] = schema.get("x-kubernetes-group-version-kind", [])
    if len(kinds) != 1:  # options and events of the protocol have many
        return []
    is_stable = kinds[0]["version"].removeprefix("v").isdigit()
    return kinds if is_stable and kinds[0]["kind"] in KINDS else []


def _file_name(kind: Mapping[str, str]) -> str:
    suffix = "-".join(filter(None, (kind["group"].split(".")[0], kind["version"])))
    return f"{kind['kind']}-{suffix}.json".lower()


def _strict(schema: Any) -> Any:
    """Return a schema without its texts, in which an object takes no field that is not named."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        key: {name: _strict(field) for name, field in value.items()}
        if key == "properties"
        else _strict(value)
        for key, value in schema.items()
        if key == "properties" or (key not in _DROPPED and not key.startswith("x-kubernetes"))
    }
    if "properties" in kept:
        kept.setdefault("additionalProperties", False)
    return kept


def _allow_null(schema: Any) -> None:
    """Let every field be null, as the API does for what is left out."""
    if not isinstance(schema, dict):
        return
    for field in schema.get("properties", {}).values():
        if isinstance(field, dict) and isinstance(field.get("type"), str):
            field["type"] = [field["type"], "null"]
    for value in schema.values():
        _allow_null(value)


def _alone(strict: Mapping[str, JsonSchema], name: str, kind: Mapping[str, str]) -> JsonSchema:
    """Return the schema of one kind with everything in it that it refers to."""
    names: set[str] = set()
    _collect(strict, strict[name], names)
    version = "/".join(filter(None, (kind["group"], kind["version"])))
    properties = {**strict[name]["properties"], "apiVersion": {"enum": [version]}}
    return {
        **strict[name],
        "properties": {**properties, "kind": {"enum": [kind["kind"]]}},
        "required": sorted({"apiVersion", "kind", *strict[name].get("required", [])}),
        "definitions": {other: strict[other] for other in sorted(names)},
    }


def _collect(strict: Mapping[str, JsonSchema], schema: Any, names: set[str]) -> None:
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.removeprefix(_PREFIX) not in names:
            names.add(reference.removeprefix(_PREFIX))
            _collect(strict, strict[reference.removeprefix(_PREFIX)], names)
        for value in schema.values():
            _collect(strict, value, names)
    elif isinstance(schema, list):
        for part in schema:
            _collect(strict, part, names)
