"""The bank of a product: made once, cached in Redis, and made again byte for byte when Redis lost it.

The manifest lies in the store beside the snapshot of normals that it names; with the seed in it that is all
the bank is made from. Redis holds nothing that cannot be had again.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import ValidationError

from steadyline.bank.codec import encode_entry
from steadyline.bank.entry import Bank, BankEntry, BankManifest
from steadyline.clock import Clock
from steadyline.digest import sha256
from steadyline.errors import BankUnavailable, ContractBroken, PackageRejected
from steadyline.picture import PictureLimits, decode, inspect
from steadyline.store import NotInStore, Store
from steadyline.telemetry.logs import get_logger
from trainer.arrays import Pictures
from trainer.data.snapshot import Snapshot, unpack

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BankSpec:
    """What a bank is made of, and where its normals lie."""

    product: str
    channels: str
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


class Banks:
    """Makes, keeps and remakes the banks of one product."""

    def __init__(self, bank: Bank, store: Store, maker: Maker, clock: Clock) -> None:
        self._bank, self._store, self._maker, self._clock = bank, store, maker, clock

    def ensure(self, wanted: BankSpec, snapshot: Snapshot) -> tuple[BankManifest, list[BankEntry]]:
        """Return the bank of these normals: the current one, one remade from its manifest, or a new one."""
        manifest = newest_manifest(self._store, wanted.product)
        if manifest is None or not _is_made_of(manifest, wanted):
            made = self._maker(snapshot, wanted)
            return self._keep(made, wanted, snapshot, 1 if manifest is None else manifest.version + 1)
        current = self._bank.current(wanted.product)
        if current is not None and current.digest == manifest.digest:
            entries = self._bank.read(wanted.product, current.version)
            if entries_digest(entries) == manifest.digest:
                return current, entries
            log.warning("bank_damaged", product=wanted.product, version=current.version)
        return self._remake(manifest, snapshot)

    def rebuild(self, product: str) -> BankManifest:
        """Make the newest bank again from the store alone and put it in Redis.

        Raises BankUnavailable when no bank was ever made.
        """
        manifest = newest_manifest(self._store, product)
        if manifest is None:
            raise BankUnavailable(f"{product} has no bank yet: the first training makes it")
        return self._remake(manifest, read_snapshot(self._store, manifest))[0]

    def _keep(
        self, made: GeneratedBank, wanted: BankSpec, snapshot: Snapshot, version: int
    ) -> tuple[BankManifest, list[BankEntry]]:
        manifest = BankManifest(
            product=wanted.product,
            version=version,
            seed=wanted.seed,
            size=snapshot.pictures.shape[1],
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
        data = manifest.model_dump_json(indent=1).encode()
        self._store.put(_manifest_key(wanted.product, version), data, "application/json")
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


@dataclass(frozen=True, slots=True)
class HeldOutSet:
    """Frames that no training saw, with known truth: (N, S, S, C) uint8 each; a transform per anomaly."""

    anomalies: Pictures
    transforms: tuple[str, ...]
    normals: Pictures


def held_out_frames(entries: Sequence[BankEntry], snapshot: Snapshot, channels: str) -> HeldOutSet:
    """Return the pseudo-anomalies of held-out normals, and those normals."""
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

    def __init__(self, bank: Bank, store: Store, product: str) -> None:
        self._bank, self._store, self._product = bank, store, product
        self._kept: tuple[str, HeldOutSet] | None = None

    def held_out(self) -> HeldOutSet | None:
        """Return them, None when Redis has no bank. Raises BankUnavailable, StoreUnavailable."""
        manifest = self._bank.current(self._product)
        if manifest is None:
            return None
        if self._kept is None or self._kept[0] != manifest.digest:
            entries = self._bank.read(self._product, manifest.version)
            snapshot = read_snapshot(self._store, manifest)
            self._kept = manifest.digest, held_out_frames(entries, snapshot, manifest.channels)
        return self._kept[1]


def newest_manifest(store: Store, product: str) -> BankManifest | None:
    """Return the manifest of the newest bank that was ever made for ``product``."""
    keys = store.list(f"banks/{product}")
    if not keys:
        return None
    try:
        return BankManifest.model_validate_json(store.get(max(keys)))
    except ValidationError as error:
        raise PackageRejected(f"{max(keys)} is no manifest of a bank: {error}") from error


def read_snapshot(store: Store, manifest: BankManifest) -> Snapshot:
    """Return the normals that a bank was made from; see ``load_snapshot``."""
    return load_snapshot(store, manifest.normals_uri, manifest.normals_digest)


def load_snapshot(store: Store, uri: str, digest: str) -> Snapshot:
    """Return a snapshot; raises PackageRejected when it is gone or is not the one with this digest."""
    try:
        data = store.get(uri)
    except NotInStore as error:
        raise PackageRejected(f"{uri} is missing") from error
    if sha256(data) != digest:
        raise PackageRejected(f"{uri} does not match its digest")
    return unpack(data)


def decode_png(data: bytes, channels: str) -> Pictures:
    """Return a picture of the bank as (S, S, C)."""
    info = inspect(data, PictureLimits(max_bytes=1 << 26, max_pixels=1 << 26))
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


def _manifest_key(product: str, version: int) -> str:
    return f"banks/{product}/{version:08d}.json"
