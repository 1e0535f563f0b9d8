"""Model packages in the store: three files, each with its SHA-256; what does not match is never loaded."""

import json
from collections.abc import Mapping
from typing import Literal

from pydantic import Field, JsonValue

from steadyline.contracts.message import MOST_VERSION, AwareDatetime, Items, Part, Table, first_problem
from steadyline.contracts.model_event import Calibration, Model, ModelState, Package, Probe
from steadyline.digest import sha256
from steadyline.errors import PackageRejected, UnsignedMessage, WrongSignature
from steadyline.signing import NO_KEYS, Signer, TrustedKeys, signed_text
from steadyline.store import NotInStore, Store

MODEL, CARD, WEIGHTS = "model.onnx", "card.json", "weights.safetensors"
FILES = (MODEL, CARD, WEIGHTS)
NEVER_READ = "config.pbtxt"  # release 0.1 packed how Triton serves the model; the trainer makes that anew
SUMS_SIGNATURE = "SHA256SUMS.sig"  # by the trainer's key, where it has one
SUMS = "SHA256SUMS"  # lets a package stand alone without an event; `sha256sum -c` reads it too

# Whoever writes the store can put a file of any size in another's place.
MOST_SUMS_BYTES, MOST_FILE_BYTES = 4 << 10, 1 << 30

KIND = "steadyline model package v1"  # what its signature is of

_TYPES = {CARD: "application/json"}


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

    def model(self, package: Package, state: ModelState, reason: str) -> Model:
        """Return the model in the form that events carry."""
        return Model(
            version=self.version,
            detector=self.detector,
            state=state,
            reason=reason,
            trained_at=self.trained_at,
            size=self.size,
            channels=self.channels,
            package=package,
            threshold_version=1,
            calibrations=self.calibrations,
            probes=self.probes,
            lineage=self.lineage,
            figures=self.figures,
            certified_calibrations=self.certified_calibrations,
        )


class Packages:
    """The packages of one line's products; nobody but its trainer has reason to write them."""

    def __init__(self, store: Store, line: str, signer: Signer | None = None) -> None:
        self._store, self._line, self._signer = store, line, signer

    def key(self, product: str, version: int) -> str:
        """Return the folder of a package in the store; two lines with one store do not meet."""
        return f"models/{self._line}/{product}/{version}"

    def write(self, product: str, version: int, files: Mapping[str, bytes]) -> Package:
        """Write a package; see ``write_package``."""
        return write_package(self._store, self.key(product, version), files, self._signer)

    def load(self, product: str, version: int, package: Package) -> dict[str, bytes]:
        """Return the files of a package, which must lie where this version's package lies.

        Release 0.1 had no line in the key; what it wrote is loaded still. Raises PackageRejected as
        ``load_package`` does.
        """
        keys = self.key(product, version), f"models/{product}/{version}"
        if package.uri not in map(self._store.uri, keys):
            raise PackageRejected(
                f"version {version} of {product} lies in {self._store.uri(keys[0])}, not in {package.uri!r}"
            )
        return load_package(self._store, package)


def write_package(
    store: Store, folder: str, files: Mapping[str, bytes], signer: Signer | None = None
) -> Package:
    """Write a package's files under ``folder`` (a key, or "" for the store itself); return their digests.

    The sums are written last, so a package without them was not written completely. Raises PackageRejected
    when a file is missing or there is one too many, StoreUnavailable when writing fails.
    """
    _check_names(folder, files)
    digests = {name: sha256(files[name]) for name in FILES}
    for name in FILES:
        store.put(_key(folder, name), files[name], _TYPES.get(name, "application/octet-stream"))
    sums = "".join(f"{digest}  {name}\n" for name, digest in digests.items())
    if signer is None:
        store.delete(_key(folder, SUMS_SIGNATURE))  # of a package that lay here before
    else:
        signature = signer.sign(signed_text(KIND, sums.encode()))
        store.put(_key(folder, SUMS_SIGNATURE), signature.encode(), "text/plain")
    store.put(_key(folder, SUMS), sums.encode(), "text/plain")
    return Package(uri=store.uri(folder), digests=digests)


def read_package(store: Store, folder: str, trusted: TrustedKeys = NO_KEYS) -> Package:
    """Return a package by its own sums, as ``fit --out`` wrote it.

    Raises PackageRejected when it is not finished, or, once a key is ``trusted``, when none has signed it.
    """
    if not store.exists(_key(folder, SUMS)):
        raise PackageRejected(f"{store.uri(folder)} is no finished model package: {SUMS} is missing")
    sums = store.get(_key(folder, SUMS), MOST_SUMS_BYTES)
    try:
        trusted.check(signed_text(KIND, sums), _signature(store, folder))
    except (UnsignedMessage, WrongSignature) as error:
        raise PackageRejected(f"{store.uri(folder)}: {error.reason}: {error}") from error
    rows = sums.decode("utf-8", "replace").splitlines()
    digests = {row.split("  ", 1)[1]: row.split("  ", 1)[0] for row in rows if "  " in row}
    return Package(uri=store.uri(folder), digests=digests)


def load_package(store: Store, package: Package) -> dict[str, bytes]:
    """Return the files of a package by name, each checked against its digest.

    Raises PackageRejected when a file is missing, unknown or does not match, StoreUnavailable when the store
    cannot be read.
    """
    _check_names(package.uri, package.digests)
    files: dict[str, bytes] = {}
    for name in FILES:
        digest = package.digests[name]
        address = f"{package.uri.rstrip('/')}/{name}"
        try:
            files[name] = store.get(address, MOST_FILE_BYTES)
        except NotInStore as error:
            raise PackageRejected(f"{address} is missing") from error
        found = sha256(files[name])
        if found != digest:
            raise PackageRejected(f"{address} does not match its digest: {found} instead of {digest}")
    return files


def read_card(files: Mapping[str, bytes]) -> Card:
    """Return the card among loaded files; raises PackageRejected when it does not fit."""
    try:
        return Card.read(files[CARD])
    except ValueError as error:
        raise PackageRejected(f"{CARD}: {first_problem(error)}") from error


def write_card(card: Card) -> bytes:
    """Return the card as JSON that a person can read."""
    return (json.dumps(card.model_dump(mode="json"), indent=1, sort_keys=True) + "\n").encode()


def _signature(store: Store, folder: str) -> str | None:
    try:
        return store.get(_key(folder, SUMS_SIGNATURE), MOST_SUMS_BYTES).decode("utf-8", "replace")
    except NotInStore:
        return None


def _check_names(where: str, names: Mapping[str, object]) -> None:
    missing, unknown = sorted(set(FILES) - set(names)), sorted(set(names) - {*FILES, NEVER_READ})
    if missing or unknown:
        problems = [f"missing {', '.join(missing)}"] * bool(missing) + [
            f"unknown {', '.join(unknown)}"
        ] * bool(unknown)
        raise PackageRejected(f"package {where}: {'; '.join(problems)}")


def _key(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
