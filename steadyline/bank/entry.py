"""One pseudo-anomaly of a bank, and the manifest that says what the bank was made from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import Field

from steadyline.contracts.message import MOST_VERSION, AwareDatetime, Part, Table
from steadyline.errors import BankUnavailable, ContractBroken

MOST_ENTRIES = 1_000_000
MOST_MANIFEST_BYTES = 1 << 20


class BankLost(BankUnavailable):
    """The bank is not there, or what is there is none: it has to be made again from the store."""

    reason = "bank_lost"


class BankManifest(Part):
    """Enough to make the bank again, byte for byte: seed, settings, and the digest of the normals."""

    product: str
    version: int = Field(ge=1, le=MOST_VERSION)
    seed: int = Field(ge=0)
    size: int = Field(ge=8, le=4096)
    channels: Literal["gray", "rgb"]
    per_normal: int = Field(ge=1)
    normals_uri: str
    normals_digest: str
    recipe: Table[str, float | int | str]
    acceptance: Table[str, float]
    entries: int = Field(ge=1, le=MOST_ENTRIES)
    digest: str
    made_at: AwareDatetime
    # Of the pictures, where it is not the height; ``size`` is the height then.
    width: int | None = Field(None, ge=8, le=4096, exclude_if=lambda width: width is None)


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
        """Return the manifest of the current bank, or None when there is none: lost, never made, or damaged.

        Redis is nobody's word for what is in it: whoever uses a bank holds the digest of its entries against
        one that is known from elsewhere.
        """
        ...

    def read(self, product: str, version: int, limit: int | None = None) -> list[BankEntry]:
        """Return the entries in order of id, or only the first ``limit`` of them.

        Raises BankLost when the version is not there or is no bank.
        """
        ...

    def acquire_leases(self, products: Mapping[str, int], owner: str, seconds: float) -> dict[str, int]:
        """Take or renew the rights to train ``products``; return the owner's fencing token of each, 0 where
        another has the right.

        Each taking of a right gets a greater token than the one before, and than the number beside the
        product; it stays the same while the right is renewed. However many they are, it takes the time of one
        command.
        """
        ...

    def holder(self, product: str) -> str | None:
        """Return who has the right to train ``product``, or None when nobody has it."""
        ...

    def release_leases(self, products: Iterable[str], owner: str) -> None:
        """Give the rights back that ``owner`` has, in the time of one command."""
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
