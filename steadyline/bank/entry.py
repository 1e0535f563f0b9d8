"""One pseudo-anomaly of a bank, and the manifest that says what the bank was made from."""

from dataclasses import dataclass
from typing import Protocol

from steadyline.contracts.message import AwareDatetime, Part
from steadyline.errors import ContractBroken


class BankManifest(Part):
    """Enough to make the bank again, byte for byte: seed, settings, and the digest of the normals."""

    product: str
    version: int
    seed: int
    size: int
    channels: str
    per_normal: int
    normals_uri: str
    normals_digest: str
    recipe: dict[str, float | int | str]
    acceptance: dict[str, float]
    entries: int
    digest: str
    made_at: AwareDatetime


@dataclass(frozen=True, slots=True)
class BankEntry:
    """One pseudo-anomaly; picture and mask are PNGs of the product's prepared size."""

    id: str
    picture_png: bytes
    mask_png: bytes
    source: str  # id of the normal that it was made from
    transform: str
    parameters: dict[str, float | int | str]
    acceptance: float  # the figure of the acceptance check; low means far from the normals


class Bank(Protocol):
    """Versioned banks per product; a new bank is written whole, then one pointer moves."""

    def write(self, manifest: BankManifest, entries: list[BankEntry]) -> None:
        """Write a bank and make it current; readers see the old bank or the new one, never a mixture.

        The old version stays readable for half a minute. Writing the current version again, after damage,
        replaces it whole. Raises BankUnavailable when Redis is away or full; the current bank then stays.
        Raises ContractBroken when the entries are not those that the manifest counts.
        """
        ...

    def current(self, product: str) -> BankManifest | None:
        """Return the manifest of the current bank, or None when there is none (lost or never made)."""
        ...

    def read(self, product: str, version: int, limit: int | None = None) -> list[BankEntry]:
        """Return the entries in order of id, or only the first ``limit`` of them.

        Raises BankUnavailable when the version is not there.
        """
        ...

    def acquire_lease(self, product: str, owner: str, seconds: float) -> bool:
        """Take or renew the right to train ``product``; True for one live owner at a time."""
        ...

    def holder(self, product: str) -> str | None:
        """Return who has the right to train ``product``, or None when nobody has it."""
        ...

    def release(self, product: str, owner: str) -> None:
        """Give the right back if ``owner`` has it."""
        ...


OLD_SECONDS = 30  # readers of the old version must finish within this time


def check_whole(manifest: BankManifest, entries: list[BankEntry]) -> None:
    """Raise ContractBroken unless there are as many entries as the manifest says, each with its own id."""
    ids = {entry.id for entry in entries}
    if not entries or len(ids) != len(entries) or len(entries) != manifest.entries:
        raise ContractBroken(
            f"bank v{manifest.version} of {manifest.product}: "
            f"the manifest counts {manifest.entries} entries, "
            f"there are {len(entries)} with {len(ids)} ids"
        )
