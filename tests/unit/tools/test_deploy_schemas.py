"""The schemas that manifests are held against are those of the definitions, and strict."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from tests.packaging.rules import ROOT
from tools.deploy_schemas.core import core_schemas
from tools.deploy_schemas.custom import custom_schemas

DEFINITIONS = ROOT / "deploy" / "verify" / "crds"
SCHEMAS = ROOT / "deploy" / "verify" / "schemas"

TOPIC: dict[str, Any] = {
    "apiVersion": "kafka.strimzi.io/v1",
    "kind": "KafkaTopic",
    "metadata": {"name": "frames"},
    "spec": {"partitions": 8, "replicas": 3, "config": {"retention.ms": 1}},
}
DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "scorer"},
    "spec": {
        "selector": {"matchLabels": {"app": "scorer"}},
        "template": {
            "metadata": {"labels": {"app": "scorer"}},
            "spec": {
                "containers": [
                    {
                        "name": "scorer",
                        "image": "scorer",
                        "resources": {"limits": {"cpu": 1, "memory": "1Gi"}},
                        "livenessProbe": {"httpGet": {"path": "/livez", "port": "health"}},
                    }
                ],
                "nodeSelector": None,
            },
        },
    },
}


def problems(file: str, manifest: dict[str, Any]) -> list[str]:
    """Return where a manifest does not fit a schema."""
    schema = json.loads((SCHEMAS / file).read_text(encoding="utf-8"))
    return [error.json_path for error in Draft7Validator(schema).iter_errors(manifest)]


def changed(manifest: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy in which one field, told by its path, has another value."""
    copied: dict[str, Any] = json.loads(json.dumps(manifest))
    *way, last = path.split(".")
    found: Any = copied
    for part in way:
        found = found[int(part) if part.isdigit() else part]
    found[last] = value
    return copied


def test_the_schemas_of_custom_resources_are_those_of_the_definitions() -> None:
    made = dict(custom_schemas(sorted(DEFINITIONS.rglob("*.yaml"))))
    there = {str(path.relative_to(SCHEMAS)): path for path in SCHEMAS.glob("*.*/*.json")}
    assert made.keys() == there.keys(), "`python -m tools.deploy_schemas` writes them"
    assert [name for name in made if json.loads(there[name].read_text(encoding="utf-8")) != made[name]] == []


@pytest.mark.parametrize("path", sorted(SCHEMAS.rglob("*.json")), ids=lambda path: path.stem)
def test_a_schema_stands_alone(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    schema = json.loads(text)
    Draft7Validator.check_schema(schema)
    named = {f"#/definitions/{name}" for name in schema.get("definitions", {})}
    assert set(references(schema)) <= named
    assert schema["additionalProperties"] is False


def references(node: Any) -> list[str]:
    """Return every ``$ref`` below a node."""
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return [*own, *(found for value in node.values() for found in references(value))]
    return [found for value in node for found in references(value)] if isinstance(node, list) else []


def test_right_manifests_fit() -> None:
    assert problems("core/deployment-apps-v1.json", DEPLOYMENT) == []
    assert problems("kafka.strimzi.io/kafkatopic_v1.json", TOPIC) == []


@pytest.mark.parametrize(
    ("file", "manifest", "path", "value"),
    [
        ("kafka.strimzi.io/kafkatopic_v1.json", TOPIC, "spec.partitions", 0),
        ("kafka.strimzi.io/kafkatopic_v1.json", TOPIC, "spec.partition", 1),
        ("kafka.strimzi.io/kafkatopic_v1.json", TOPIC, "apiVersion", "kafka.strimzi.io/v1beta2"),
        ("core/deployment-apps-v1.json", DEPLOYMENT, "spec.replica", 1),
        ("core/deployment-apps-v1.json", DEPLOYMENT, "spec.replicas", "one"),
        ("core/deployment-apps-v1.json", DEPLOYMENT, "spec.template.spec.containers.0.livenesProbe", {}),
    ],
)
def test_a_wrong_manifest_does_not_fit(file: str, manifest: dict[str, Any], path: str, value: Any) -> None:
    assert problems(file, changed(manifest, path, value)) != []


def test_core_schemas_are_made_of_stable_kinds_alone(tmp_path: Path) -> None:
    def kind(name: str, version: str) -> dict[str, Any]:
        return {
            "description": "dropped",
            "properties": {"spec": {"$ref": "#/definitions/spec"}, "kind": {"type": "string"}},
            "x-kubernetes-group-version-kind": [{"group": "apps", "version": version, "kind": name}],
        }

    document = {
        "definitions": {
            "stable": kind("Deployment", "v1"),
            "early": kind("Deployment", "v1beta1"),
            "other": kind("Binding", "v1"),
            "spec": {"properties": {"replicas": {"type": "integer", "format": "int32"}}},
        }
    }
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document))
    ((name, schema),) = core_schemas(path)
    assert name == "deployment-apps-v1.json"
    assert schema["properties"]["kind"] == {"enum": ["Deployment"]}
    assert schema["definitions"]["spec"] == {
        "properties": {"replicas": {"type": ["integer", "null"]}},
        "additionalProperties": False,
    }
