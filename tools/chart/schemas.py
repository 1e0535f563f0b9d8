"""Holds objects of Kubernetes against the strict schemas of deploy/verify, with no server."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for

from tools.setup.command import ROOT

SCHEMAS = Path("deploy/verify/schemas")


def schemas_are_there() -> bool:
    """Return whether the schemas are in this checkout."""
    return (ROOT / SCHEMAS / "core").is_dir()


def schema_problems(objects: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what the schemas refuse, each with its object and place; an object without a schema too."""
    for found in objects:
        name = f"{found['kind']} {found['metadata']['name']}"
        validator = _validator(str(found["apiVersion"]), str(found["kind"]))
        if validator is None:
            yield f"{name}: there is no schema of {found['apiVersion']} {found['kind']}"
            continue
        for error in validator.iter_errors(found):
            yield f"{name}: {error.json_path.removeprefix('$.')}: {error.message[:300]}"


@cache
def _validator(version: str, kind: str) -> Validator | None:
    group, _, number = version.rpartition("/")
    place = ROOT / SCHEMAS / group / f"{kind.lower()}_{number}.json"
    if not place.exists():
        words = [kind.lower(), *([group.split(".")[0]] if group else []), number]
        place = ROOT / SCHEMAS / "core" / f"{'-'.join(words)}.json"
    if not place.exists():
        return None
    schema = json.loads(place.read_text(encoding="utf-8"))
    kind_of_validator: type[Validator] = validator_for(schema, default=Draft7Validator)
    return kind_of_validator(schema)
