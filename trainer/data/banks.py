"""The bank of a product: made once, cached in Redis, and made again byte for byte when Redis lost it.

The manifest lies in the store beside the snapshot of normals that it names; with the seed in it that is all
the bank is made from. Redis holds nothing that cannot be had again.
"""

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from steadyline.bank.codec import encode_entry
from steadyline.bank.entry import MOST_MANIFEST_BYTES, Bank, BankEntry, BankLost, BankManifest
from steadyline.clock import Clock
from steadyline.digest import sha256
from steadyline.errors import BankUnavailable, ContractBroken, PackageRejected
from steadyline.grid import Grid
from steadyline.picture import INPUT_LIMITS, decode, inspect
from steadyline.store import NotInStore, Store
from steadyline.telemetry.logs import get_logger
from trainer.arrays import Pictures
from trainer.data.drawn_pairs import MOST_PACKED_BYTES, DrawnPairs
from trainer.data.labelled_frames import LabelledFrames
from trainer.data.snapshot import Snapshot, unpack

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BankSpec:
    """What a bank is made of, and where its normals lie."""

    product: str
    channels: Literal["gray", "rgb"]
    detector: str
    profile: str
    seed: int
    snapshot_uri: str
    snapshot_digest: str


@dataclass(frozen=True, slots=True)
class GeneratedBank:
    """What a maker of pseudo-anomalies returns: entries, its settings, acceptance rate per transform."""

    entries: list[BankEntry]
    recipe: dict[str, float | int | str]
    per_normal: int
    acceptance: dict[str, float]


Maker = Callable[[Snapshot, BankSpec], GeneratedBank]


def entries_digest(entries: Sequence[BankEntry]) -> str:
    """Return one SHA-256 over the entries' bytes, in order of id."""
    total = hashlib.sha256()
    for entry in sorted(entries, key=lambda entry: entry.id):
        total.update(encode_entry(entry))
    return total.hexdigest()


class BankStore:
    """What the store holds of a line's banks: snapshots of normals, and manifests.

    Every scorer may write to the store. A snapshot is therefore known by its digest, and a manifest is one
    only when the digest of its bank is among those that the caller knows from elsewhere.
    """

    def __init__(self, store: Store, line: str) -> None:
        self._store, self._line = store, line

    def put_snapshot(self, product: str, packed: bytes) -> tuple[str, str]:
        """Write a packed snapshot, labelled frames or drawn pairs; return its address and its digest."""
        digest = sha256(packed)
        return self._store.put(f"snapshots/{self._line}/{product}/{digest}", packed), digest

    def snapshot(self, product: str, digest: str) -> Snapshot:
        """Return a snapshot; raises PackageRejected when it is gone or is not the one with this digest."""
        return unpack(self._packed(product, digest))

    def labelled(self, product: str, digest: str) -> LabelledFrames:
        """Return the labelled frames of a training; raises as ``snapshot`` does."""
        return LabelledFrames.unpack(self._packed(product, digest))

    def drawn_pairs(self, product: str, digest: str, snapshot: Snapshot) -> DrawnPairs:
        """Return the defects drawn into frames of a training's ``snapshot``; raises as ``snapshot`` does."""
        return DrawnPairs.unpack(self._packed(product, digest, MOST_PACKED_BYTES), snapshot)

    def _packed(self, product: str, digest: str, most_bytes: int | None = None) -> bytes:
        """Return what lies under a digest. Release 0.1 had no line in the key; it is read still."""
        keys = [f"snapshots/{folder}/{digest}" for folder in (f"{self._line}/{product}", product)]
        for key in keys:
            try:
                data = self._store.get(key, most_bytes)
            except NotInStore:
                continue
            if sha256(data) != digest:
                raise PackageRejected(f"{self._store.uri(key)} does not match its digest")
            return data
        raise PackageRejected(f"{self._store.uri(keys[0])} is missing")

    def put(self, manifest: BankManifest) -> None:
        """Write down what a bank was made from."""
        key = f"banks/{self._line}/{manifest.product}/{manifest.version:08d}.json"
        self._store.put(key, manifest.model_dump_json(indent=1).encode(), "application/json")

    def newest(
        self, product: str, believes: Callable[[BankManifest], bool] = lambda manifest: True
    ) -> BankManifest | None:
        """Return the manifest with the greatest version that the caller ``believes``."""
        for key in self._manifest_keys(product):
            try:
                manifest = BankManifest.read(self._store.get(key, MOST_MANIFEST_BYTES))
            except (ValueError, NotInStore) as error:
                log.warning("bank_manifest_unreadable", file=self._store.uri(key), error=str(error)[:500])
                continue
            if manifest.product == product and believes(manifest):
                return manifest
        return None

    def _manifest_keys(self, product: str) -> list[str]:
        """Return the keys of the manifests, the greatest version first; those of release 0.1 have no line."""
        found: list[tuple[int, str]] = []
        for folder in (f"banks/{self._line}/{product}", f"banks/{product}"):
            for key in self._store.list(folder):
                match = re.fullmatch(r"(\d{8,12})\.json", key.removeprefix(f"{folder}/"))
                if match is not None:
                    found.append((int(match[1]), key))
        return [key for _, key in sorted(found, reverse=True)]


class Banks:
    """Makes, keeps and remakes the banks of one line."""

    def __init__(self, bank: Bank, kept: BankStore, maker: Maker, clock: Clock) -> None:
        self._bank, self._kept, self._maker, self._clock = bank, kept, maker, clock

    def ensure(
        self, wanted: BankSpec, snapshot: Snapshot, known: Collection[str]
    ) -> tuple[BankManifest, list[BankEntry]]:
        """Return the bank of these normals: the current one, one remade from its manifest, or a new one.

        ``known`` are digests of banks that were made here before; any other bank is a stranger's.
        """
        manifest = self._kept.newest(wanted.product, lambda found: found.digest in known)
        if manifest is None or not _is_made_of(manifest, wanted):
            made = self._maker(snapshot, wanted)
            return self._keep(made, wanted, snapshot, 1 if manifest is None else manifest.version + 1)
        entries = read_bank(self._bank, wanted.product, manifest.digest)
        return self._remake(manifest, snapshot) if entries is None else (manifest, entries)

    def rebuild(self, product: str, known: Mapping[str, str] | None = None) -> BankManifest:
        """Make the newest bank again from the store alone and put it in Redis.

        ``known`` maps digests of banks that were made here to those of their normals; it is one of them then,
        and otherwise whatever bank the store names. Raises BankUnavailable when there is none.
        """

        def believes(found: BankManifest) -> bool:
            return known is None or known.get(found.digest) == found.normals_digest

        manifest = self._kept.newest(product, believes)
        if manifest is None:
            raise BankUnavailable(f"{product} has no bank yet: the first training makes it")
        return self._remake(manifest, self._kept.snapshot(product, manifest.normals_digest))[0]

    def _keep(
        self, made: GeneratedBank, wanted: BankSpec, snapshot: Snapshot, version: int
    ) -> tuple[BankManifest, list[BankEntry]]:
        grid = Grid(*snapshot.pictures.shape[1:3])
        manifest = BankManifest(
            product=wanted.product,
            version=version,
            seed=wanted.seed,
            size=grid.height,
            width=grid.told_width,
            channels=wanted.channels,
            per_normal=made.per_normal,
            normals_uri=wanted.snapshot_uri,
            normals_digest=wanted.snapshot_digest,
            recipe={**made.recipe, "detector": wanted.detector, "profile": wanted.profile},
            acceptance=made.acceptance,
            entries=len(made.entries),
            digest=entries_digest(made.entries),
            made_at=self._clock.now(),
        )
        self._kept.put(manifest)
        self._bank.write(manifest, made.entries)
        log.info("bank_made", product=wanted.product, version=version, entries=manifest.entries)
        return manifest, made.entries

    def _remake(self, manifest: BankManifest, snapshot: Snapshot) -> tuple[BankManifest, list[BankEntry]]:
        """The same code makes the same bytes; after an upgrade that draws otherwise it is a new version."""
        bank_spec = _spec_of(manifest)
        made = self._maker(snapshot, bank_spec)
        if entries_digest(made.entries) != manifest.digest:
            log.warning(
                "bank_differs", product=manifest.product, version=manifest.version, why="code changed"
            )
            return self._keep(made, bank_spec, snapshot, manifest.version + 1)
        self._bank.write(manifest, made.entries)
        log.info("bank_remade", product=manifest.product, version=manifest.version, entries=manifest.entries)
        return manifest, made.entries


def read_bank(bank: Bank, product: str, digest: str) -> list[BankEntry] | None:
    """Return the entries of the current bank when their digest is this one; None when they are not there.

    Raises BankUnavailable when Redis is away.
    """
    current = bank.current(product)
    if current is None or current.digest != digest:
        return None
    try:
        entries = bank.read(product, current.version)
    except BankLost as error:
        log.warning("bank_damaged", product=product, version=current.version, error=str(error))
        return None
    if entries_digest(entries) != digest:
        log.warning("bank_damaged", product=product, version=current.version, error="another digest")
        return None
    return entries


@dataclass(frozen=True, slots=True)
class HeldOutSet:
    """Frames that no training saw, with known truth: (N, H, W, C) uint8 each; a transform per anomaly."""

    anomalies: Pictures
    transforms: tuple[str, ...]
    normals: Pictures


def held_out_frames(entries: Sequence[BankEntry], snapshot: Snapshot) -> HeldOutSet:
    """Return the pseudo-anomalies of held-out normals, and those normals."""
    channels = "rgb" if snapshot.pictures.shape[3] == 3 else "gray"
    held_out = snapshot.held_out_ids()
    chosen = [entry for entry in entries if entry.source in held_out]
    if not chosen:
        raise ContractBroken("the bank has no pseudo-anomaly of a held-out normal")
    pictures = np.stack([decode_png(entry.picture_png, channels) for entry in chosen])
    return HeldOutSet(
        pictures, tuple(entry.transform for entry in chosen), snapshot.pictures[snapshot.held_out]
    )


class HeldOutCache:
    """The held-out frames of a product's current bank, kept in memory until the bank changes."""

    def __init__(self, bank: Bank, kept: BankStore, product: str) -> None:
        self._bank, self._bank_store, self._product = bank, kept, product
        self._kept: tuple[str, HeldOutSet] | None = None

    def held_out(self, known: Mapping[str, str]) -> HeldOutSet | None:
        """Return them, or None when Redis has no bank that is known and whole.

        ``known`` maps digests of banks that were made here to those of their normals. While another bank lies
        in Redis, that of a training that is not decided on or a stranger's, those in memory stay.
        Raises BankUnavailable, StoreUnavailable, or PackageRejected when the normals are gone.
        """
        manifest = self._bank.current(self._product)
        if manifest is None:
            return None
        if manifest.digest not in known:
            return self._kept[1] if self._kept is not None and self._kept[0] in known else None
        if self._kept is None or self._kept[0] != manifest.digest:
            entries = read_bank(self._bank, self._product, manifest.digest)
            if entries is None:
                return None
            snapshot = self._bank_store.snapshot(self._product, known[manifest.digest])
            self._kept = manifest.digest, held_out_frames(entries, snapshot)
        return self._kept[1]


def decode_png(data: bytes, channels: str) -> Pictures:
    """Return a picture of the bank as (H, W, C)."""
    info = inspect(data, INPUT_LIMITS)
    pixels = decode(data, info, "rgb" if channels == "rgb" else "gray")
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _is_made_of(manifest: BankManifest, wanted: BankSpec) -> bool:
    made_of = manifest.normals_digest, manifest.recipe.get("detector"), manifest.recipe.get("profile")
    return made_of == (wanted.snapshot_digest, wanted.detector, wanted.profile)


def _spec_of(manifest: BankManifest) -> BankSpec:
    return BankSpec(
        manifest.product,
        manifest.channels,
        str(manifest.recipe["detector"]),
        str(manifest.recipe["profile"]),
        manifest.seed,
        manifest.normals_uri,
        manifest.normals_digest,
    )
