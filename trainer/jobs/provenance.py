"""Writes down where a package came from: what was ordered, what it was made of, and what made it."""

import platform
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version

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
from trainer.detectors.registry import BACKBONE_LICENCE, has_backbone
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
            external_parameters=line | spec.model_dump(mode="json", include=_ORDERED),
            resolved_dependencies=made_of + _published(spec.detector),
        ),
        run_details=RunDetails(builder=BuilderVersion(id=BUILDER, version=versions), metadata=metadata),
    )
    subject = [_artifact(name, sha256(data)) for name, data in files.items()]
    return write_provenance(ProvenanceStatement(subject=subject, predicate=predicate))


def _published(detector: str) -> list[Artifact]:
    """Return the weights that others have published and the model contains."""
    if not has_backbone(detector):
        return []
    from trainer.backbone.weights import DIGEST, DISTRIBUTION

    found = _artifact(DISTRIBUTION, DIGEST)
    return [found.model_copy(update={"annotations": {"licence": BACKBONE_LICENCE}})]


def _artifact(name: str, digest: str) -> Artifact:
    return Artifact(name=name, digest={"sha256": digest})
