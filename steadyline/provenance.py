"""Where a package came from, in the form of SLSA: an in-toto statement over its files, in its manifest."""

import json
from collections.abc import Mapping
from typing import Literal

from pydantic import ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

from steadyline.contracts.message import AwareDatetime, Items, Part, Table, first_problem
from steadyline.errors import PackageRejected

STATEMENT: Literal["https://in-toto.io/Statement/v1"] = "https://in-toto.io/Statement/v1"
PREDICATE: Literal["https://slsa.dev/provenance/v1"] = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:steadyline:training:v1"
BUILDER = "urn:steadyline:trainer"

Digests = Table[str, str]  # algorithm → hex, as in-toto has it


class SlsaPart(Part):
    """A part of the statement, whose fields have the names of SLSA in JSON."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)


class Artifact(SlsaPart):
    """A file, or what a training was given, by its digest."""

    name: str
    digest: Digests
    annotations: Table[str, str] = Field(default_factory=dict, exclude_if=lambda found: not found)


class BuildDefinition(SlsaPart):
    """What was ordered, and of what it was made."""

    build_type: str
    external_parameters: Table[str, JsonValue]
    resolved_dependencies: Items[Artifact]


class BuilderVersion(SlsaPart):
    """What trained: our release, Python and torch."""

    id: str
    version: Table[str, str]


class BuildMetadata(SlsaPart):
    """Which order it was, and when the process that finished it began and ended."""

    invocation_id: str
    started_on: AwareDatetime
    finished_on: AwareDatetime


class RunDetails(SlsaPart):
    """Who trained, and when."""

    builder: BuilderVersion
    metadata: BuildMetadata


class SlsaPredicate(SlsaPart):
    """The provenance itself."""

    build_definition: BuildDefinition
    run_details: RunDetails


class ProvenanceStatement(SlsaPart):
    """The whole file: which files it is about, and where they came from."""

    statement_type: Literal["https://in-toto.io/Statement/v1"] = Field(STATEMENT, alias="_type")
    subject: Items[Artifact]
    predicate_type: Literal["https://slsa.dev/provenance/v1"] = PREDICATE
    predicate: SlsaPredicate


def write_provenance(statement: ProvenanceStatement) -> bytes:
    """Return the statement as JSON that a person can read."""
    return (json.dumps(statement.model_dump(mode="json", by_alias=True), indent=1) + "\n").encode()


def read_provenance(data: bytes, digests: Mapping[str, str]) -> ProvenanceStatement:
    """Return the statement; raises PackageRejected when it does not fit, or is about other files."""
    try:
        statement = ProvenanceStatement.read(data)
    except ValueError as error:
        raise PackageRejected(f"the provenance: {first_problem(error)}") from error
    for subject in statement.subject:
        if digests.get(subject.name) != subject.digest.get("sha256"):
            raise PackageRejected(f"the provenance is about another {subject.name[:80]!r}")
    return statement
