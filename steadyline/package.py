"""Model packages in the store: files, manifest, signatures; what does not match is never loaded."""

import json
from collections.abc import Mapping
from typing import Literal

from pydantic import Field, JsonValue

from steadyline.contracts.message import (
    MOST_VERSION,
    AwareDatetime,
    Items,
    Part,
    Table,
    Word,
    first_problem,
)
from steadyline.contracts.model_event import Calibration, EncodedProbe, Model, ModelState, Package, Probe
from steadyline.contracts.station import StationReference
from steadyline.digest import sha256
from steadyline.errors import PackageRejected
from steadyline.grid import Grid
from steadyline.manifest import (
    MOST_SUMS_BYTES,
    SUMS,
    SUMS_SIGNATURE,
    manifest_text,
    read_manifest,
    signed_by,
    with_signature,
)
from steadyline.signing import NO_KEYS, Signer, TrustedKeys
from steadyline.store import NotInStore, Store

MODEL, CARD, WEIGHTS = "model.onnx", "card.json", "weights.safetensors"
PROVENANCE = "provenance.json"  # packages of earlier releases have none
FILES = (MODEL, CARD, WEIGHTS)
NEVER_READ = "config.pbtxt"  # release 0.1 packed how Triton serves the model; the trainer makes that anew

MOST_FILE_BYTES = 1 << 30  # whoever writes the store can put a file of any size in another's place

NO_LICENCE = "NOASSERTION"  # as SPDX writes it where nobody has said

_LOADED = (*FILES, PROVENANCE)
_TYPES = {CARD: "application/json", PROVENANCE: "application/json"}


class Card(Part):
    """What people and the gate want to know of a model, and what is needed to make it again."""

    product: str
    version: int = Field(ge=1, le=MOST_VERSION)
    detector: str
    profile: str
    seed: int
    trained_at: AwareDatetime
    size: int = Field(ge=8, le=4096)
    channels: Literal["gray", "rgb"]
    recipe: Table[str, JsonValue]
    false_alarm_rate: float
    calibrations: Table[str, Calibration]
    probes: Items[Probe]
    figures: Table[str, float]
    acceptance: Table[str, float]
    lineage: Table[str, str]
    certified_calibrations: Table[str, Calibration] = Field(
        default_factory=dict, exclude_if=lambda calibrations: not calibrations
    )
    halves: Items[Word] = Field(default_factory=list, exclude_if=lambda halves: not halves)
    references: Table[str, StationReference] = Field(
        default_factory=dict, exclude_if=lambda references: not references
    )
    encoded_probes: Items[EncodedProbe] = Field(default_factory=list, exclude_if=lambda probes: not probes)
    # Of the weights, as SPDX writes it; packages of earlier releases say nothing of it.
    licence: str = Field(NO_LICENCE, max_length=500, exclude_if=lambda licence: licence == NO_LICENCE)
    # That trained it; "" for `fit`, which has none, and in packages of earlier releases.
    line: str = Field("", max_length=500, exclude_if=lambda line: not line)
    # Of the input, where it is not the height; ``size`` is the height then.
    width: int | None = Field(None, ge=8, le=4096, exclude_if=lambda width: width is None)

    @property
    def grid(self) -> Grid:
        """Height and width of the input, in pixels."""
        return Grid.of(self.size, self.width)

    def model(self, package: Package, state: ModelState, reason: str) -> Model:
        """Return the model in the form that events carry; its lineage names the licence of the weights."""
        licence = {} if self.licence == NO_LICENCE else {"licence": self.licence}
        return Model(
            version=self.version,
            detector=self.detector,
            state=state,
            reason=reason,
            trained_at=self.trained_at,
            size=self.size,
            width=self.width,
            channels=self.channels,
            package=package,
            threshold_version=1,
            calibrations=self.calibrations,
            probes=self.probes,
            lineage={**self.lineage, **licence},
            figures=self.figures,
            certified_calibrations=self.certified_calibrations,
            halves=self.halves,
            references=self.references,
            encoded_probes=self.encoded_probes,
        )


class Packages:
    """The packages of one line's products; nobody but its trainer has reason to write them.

    ``signer`` signs what is written. Once a key is ``trusted``, nothing is loaded that none has signed.
    """

    def __init__(
        self, store: Store, line: str, signer: Signer | None = None, trusted: TrustedKeys = NO_KEYS
    ) -> None:
        self._store, self._line, self._signer, self._trusted = store, line, signer, trusted

    def key(self, product: str, version: int) -> str:
        """Return the folder of a package in the store; two lines with one store do not meet."""
        return f"models/{self._line}/{product}/{version}"

    def card(self, product: str, version: int, files: Mapping[str, bytes]) -> Card:
        """Return the card among loaded files; raises PackageRejected unless it is this version's, of this
        line.
        """
        card = read_card(files)
        check_card(card, self._line, product, version)
        return card

    def write(self, product: str, version: int, files: Mapping[str, bytes]) -> Package:
        """Write a package; see ``write_package``."""
        return write_package(self._store, self.key(product, version), files, self._signer)

    def load(self, product: str, version: int, package: Package) -> dict[str, bytes]:
        """Return the files of a package, which must lie where this version's package lies.

        Raises PackageRejected as ``load_package`` does.
        """
        self._check_place(product, version, package)
        return load_package(self._store, package, self._trusted)

    def signers(self, product: str, version: int, package: Package) -> tuple[str, ...]:
        """Return the names of the keys that signed a package; raises PackageRejected as ``load`` does."""
        self._check_place(product, version, package)
        return package_signers(self._store, package, self._trusted)

    def sign(self, product: str, version: int, package: Package, signer: Signer) -> bool:
        """Sign a package that lies there already; see ``sign_package``."""
        self._check_place(product, version, package)
        return sign_package(self._store, package, signer)

    def _check_place(self, product: str, version: int, package: Package) -> None:
        """Release 0.1 had no line in the key; what it wrote is loaded still."""
        keys = self.key(product, version), f"models/{product}/{version}"
        if package.uri not in map(self._store.uri, keys):
            raise PackageRejected(
                f"version {version} of {product} lies in {self._store.uri(keys[0])}, not in {package.uri!r}"
            )


def write_package(
    store: Store, folder: str, files: Mapping[str, bytes], signer: Signer | None = None
) -> Package:
    """Write a package's files under ``folder`` (a key, or "" for the store itself); return their digests.

    The manifest is written last, so a package without it was not written completely. Raises PackageRejected
    when a file is missing or there is one too many, StoreUnavailable when writing fails.
    """
    _check_names(folder, files)
    digests = {name: sha256(files[name]) for name in _LOADED if name in files}
    for name in digests:
        store.put(_key(folder, name), files[name], _TYPES.get(name, "application/octet-stream"))
    if PROVENANCE not in digests:
        store.delete(_key(folder, PROVENANCE))  # of a package that lay here before
    sums = manifest_text(digests)
    if signer is None:
        store.delete(_key(folder, SUMS_SIGNATURE))
    else:
        store.put(_key(folder, SUMS_SIGNATURE), with_signature(sums, signer), "text/plain")
    store.put(_key(folder, SUMS), sums, "text/plain")
    return Package(uri=store.uri(folder), digests=digests)


def read_package(store: Store, folder: str, trusted: TrustedKeys = NO_KEYS) -> Package:
    """Return a package by its own manifest, as ``fit --out`` wrote it.

    Raises PackageRejected when it is not finished, or, once a key is ``trusted``, when none has signed it.
    """
    where = store.uri(folder).rstrip("/")
    _check_plain(store.kinds(folder), where)
    sums = _read(store, _key(folder, SUMS))
    if sums is None:
        raise PackageRejected(
            f"{where} is no finished model package: {SUMS} is missing; name a folder that `fit --out` has "
            "finished"
        )
    digests = read_manifest(sums, where)
    signed_by(sums, _read(store, _key(folder, SUMS_SIGNATURE)), trusted, where)
    return Package(uri=store.uri(folder), digests=digests)


def load_package(store: Store, package: Package, trusted: TrustedKeys = NO_KEYS) -> dict[str, bytes]:
    """Return the files of a package by name, each checked against its digest.

    Raises PackageRejected when a file is missing, unknown, no plain file or does not match, when the manifest
    says anything else, or when no key that is ``trusted`` has signed it; StoreUnavailable when the store
    cannot be read.
    """
    package_signers(store, package, trusted)
    folder, files = _folder(store, package), {}
    for name in (name for name in _LOADED if name in package.digests):
        address, digest = f"{package.uri.rstrip('/')}/{name}", package.digests[name]
        try:
            files[name] = store.get(_key(folder, name), MOST_FILE_BYTES)
        except NotInStore as error:
            raise PackageRejected(f"{address} is missing") from error
        found = sha256(files[name])
        if found != digest:
            raise PackageRejected(f"{address} does not match its digest: {found} instead of {digest}")
    return files


def package_signers(store: Store, package: Package, trusted: TrustedKeys = NO_KEYS) -> tuple[str, ...]:
    """Return the names of the keys that signed a package, without reading its files.

    Raises PackageRejected as ``load_package`` does. A manifest may be missing as long as no key is trusted:
    ``package`` names the digests.
    """
    _check_names(package.uri, package.digests)
    folder, where = _folder(store, package), package.uri.rstrip("/")
    _check_folder(store.kinds(folder), package, where)
    sums = _read(store, _key(folder, SUMS))
    if sums is None:
        return signed_by(b"", None, trusted, where)
    if read_manifest(sums, where) != package.digests:
        raise PackageRejected(f"{where}/{SUMS} names other digests than those that were announced")
    return signed_by(sums, _read(store, _key(folder, SUMS_SIGNATURE)), trusted, where)


def sign_package(store: Store, package: Package, signer: Signer) -> bool:
    """Add the signature of a key to a package that lies there, once each file was held against its digest.

    Returns False when the key had signed it before. Raises PackageRejected when the package is not what
    ``package`` says.
    """
    load_package(store, package)
    folder = _folder(store, package)
    sums, before = _read(store, _key(folder, SUMS)), _read(store, _key(folder, SUMS_SIGNATURE))
    if sums is not None and read_manifest(sums, package.uri.rstrip("/")) != package.digests:
        raise PackageRejected(f"{package.uri.rstrip('/')}/{SUMS} has changed while it was looked at")
    text = manifest_text(package.digests) if sums is None else sums
    after = with_signature(text, signer, before)
    if sums is None:
        store.put(_key(folder, SUMS), text, "text/plain")
    if before is not None and set(before.split(b"\n")) == set(after.split(b"\n")):
        return False
    store.put(_key(folder, SUMS_SIGNATURE), after, "text/plain")
    return True


def read_card(files: Mapping[str, bytes]) -> Card:
    """Return the card among loaded files; raises PackageRejected when it does not fit."""
    try:
        return Card.read(files[CARD])
    except ValueError as error:
        raise PackageRejected(f"{CARD}: {first_problem(error)}") from error


def check_card(card: Card, line: str, product: str, version: int) -> None:
    """Raise PackageRejected when a card is that of another line, product or version.

    A signature is over the files alone: a package that is signed may lie in another's place. A card without a
    line is taken.
    """
    if (card.product, card.version) != (product, version) or card.line not in ("", line):
        of = f" of the line {card.line!r}" if card.line not in ("", line) else ""
        raise PackageRejected(
            f"the package of version {version} of {product} is that of version {card.version} of "
            f"{card.product!r}{of}"
        )


def write_card(card: Card) -> bytes:
    """Return the card as JSON that a person can read."""
    return (json.dumps(card.model_dump(mode="json"), indent=1, sort_keys=True) + "\n").encode()


def _folder(store: Store, package: Package) -> str:
    """Return the key of a package's folder, "" when it is the store itself."""
    try:
        return store.key(package.uri).rstrip("/")
    except NotInStore as error:
        raise PackageRejected(f"{package.uri!r} is not in the store") from error


def _read(store: Store, key: str) -> bytes | None:
    try:
        return store.get(key, MOST_SUMS_BYTES)
    except NotInStore:
        return None


def _check_folder(found: Mapping[str, str], package: Package, where: str) -> None:
    """Refuse what nobody has packed, and a folder that lacks a file."""
    _check_plain(found, where)
    for name in sorted(found):
        if name not in package.digests and name not in (SUMS, SUMS_SIGNATURE):
            raise PackageRejected(f"{where}/{name} is no file of this package: remove it")
    for name in _LOADED:
        if name in package.digests and name not in found:
            raise PackageRejected(f"{where}/{name} is missing")


def _check_plain(found: Mapping[str, str], where: str) -> None:
    """Refuse a folder, a link, a pipe; none of them is opened."""
    for name, kind in sorted(found.items()):
        if kind != "file":
            raise PackageRejected(f"{where}/{name} is no plain file: remove it")


def _check_names(where: str, names: Mapping[str, object]) -> None:
    missing, unknown = sorted(set(FILES) - set(names)), sorted(set(names) - {*_LOADED, NEVER_READ})
    if missing or unknown:
        problems = [f"missing {', '.join(missing)}"] * bool(missing) + [
            f"unknown {', '.join(unknown)}"
        ] * bool(unknown)
        raise PackageRejected(f"package {where}: {'; '.join(problems)}")


def _key(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
