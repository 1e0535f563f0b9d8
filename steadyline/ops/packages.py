"""Looks at model packages and signs those that lie there: for people who turn signing on, or change keys."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from steadyline.contracts.model_event import ModelEvent, Package
from steadyline.errors import PackageRejected
from steadyline.package import PROVENANCE, Card, Packages, read_card
from steadyline.provenance import ProvenanceStatement, read_provenance
from steadyline.signing import Signer


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """What a package says of itself, once it was verified; ``signers`` are those keys that vouch for it."""

    package: Package
    card: Card
    signers: tuple[str, ...]
    provenance: ProvenanceStatement | None


@dataclass(frozen=True, slots=True)
class SignedVersion:
    """What became of one version: ``signed``, ``signed before``, or why it was refused."""

    product: str
    version: int
    outcome: str
    is_signed: bool


def package_facts(files: Mapping[str, bytes], package: Package, signers: tuple[str, ...]) -> PackageFacts:
    """Return what loaded files say; raises PackageRejected when card or provenance do not fit."""
    told = files.get(PROVENANCE)
    provenance = None if told is None else read_provenance(told, package.digests)
    return PackageFacts(package, read_card(files), signers, provenance)


def sign_listed(
    packages: Packages, events: Mapping[str, ModelEvent], signer: Signer
) -> Iterator[SignedVersion]:
    """Sign every version that the events list, each file held against the digest there; yield the outcomes.

    One that was changed, or is not there, is told and signed by nobody.
    """
    for product, event in sorted(events.items()):
        for model in event.models:
            try:
                is_new = packages.sign(product, model.version, model.package, signer)
            except PackageRejected as error:
                yield SignedVersion(product, model.version, f"refused: {error}", False)
                continue
            yield SignedVersion(product, model.version, "signed" if is_new else "signed before", True)
