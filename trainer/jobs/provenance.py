"""Writes down where a package came from: what was ordered, what it was made of, and what made it."""

import platform
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version
from typing import Any

from steadyline.digest import sha256
from steadyline.package import Card
from steadyline.provenance import (
    BUILD_TYPE,
    BUILDER,
    Artifact,
    BuildDefinition,
    BuilderVersion,
    BuildMetadata,
    ProvenanceStatement,
    RunDetails,
    SlsaPredicate,
    write_provenance,
)
from trainer.detectors.registry import BACKBONE_LICENCE, backbones_in, has_backbone
from trainer.jobs.spec import JobSpec

# What the training depended on, by its name in the card's lineage. Addresses stay out: paths may name people.
_DEPENDENCIES = ("data", "bank", "known_defects", "code")
_ORDERED = {
    *("product", "version", "detector", "profile", "steps", "overrides", "seed"),
    *("size", "channels", "false_alarm_rate"),
}
_VERSIONS = ("steadyline", "torch")


def provenance(card: Card, spec: JobSpec, files: Mapping[str, bytes], started: datetime) -> bytes:
    """Return the provenance of a package's files, whose training ended when the card says."""
    made_of = [_artifact(name, card.lineage[name]) for name in _DEPENDENCIES if name in card.lineage]
    versions = {name: version(name) for name in _VERSIONS} | {"python": platform.python_version()}
    metadata = BuildMetadata(
        invocation_id=spec.full_digest(), started_on=started, finished_on=card.trained_at
    )
    line = {"line": card.line} if card.line else {}
    predicate = SlsaPredicate(
        build_definition=BuildDefinition(
            build_type=BUILD_TYPE,
            external_parameters=line | _ordered(spec),
            resolved_dependencies=made_of + _published(card),
        ),
        run_details=RunDetails(builder=BuilderVersion(id=BUILDER, version=versions), metadata=metadata),
    )
    subject = [_artifact(name, sha256(data)) for name, data in files.items()]
    return write_provenance(ProvenanceStatement(subject=subject, predicate=predicate))


def _ordered(spec: JobSpec) -> dict[str, Any]:
    """Return what was ordered, without where a file lay."""
    ordered = spec.model_dump(mode="json", include=_ORDERED)
    kept = {name: value for name, value in spec.overrides.items() if not name.endswith("backbone.file")}
    return {**ordered, "overrides": kept}


def _published(card: Card) -> list[Artifact]:
    """Return the weights that others have published and the model contains, each once."""
    from trainer.backbone.weights import DIGEST, DISTRIBUTION

    found = {DIGEST: (DISTRIBUTION, BACKBONE_LICENCE)} if has_backbone(card.detector) else {}
    for one in backbones_in(card.recipe):
        shipped = one["file_sha256"] == DIGEST
        found[one["file_sha256"]] = DISTRIBUTION if shipped else one["name"], one["licence"]
    return [
        _artifact(name, digest).model_copy(update={"annotations": {"licence": licence}})
        for digest, (name, licence) in found.items()
    ]


def _artifact(name: str, digest: str) -> Artifact:
    return Artifact(name=name, digest={"sha256": digest})
