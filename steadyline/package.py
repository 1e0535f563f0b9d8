"""Model packages in the store: four files, each with its SHA-256; one that does not match is never loaded."""

import json
from collections.abc import Mapping

from pydantic import JsonValue, ValidationError

from steadyline.contracts.message import AwareDatetime, Part
from steadyline.contracts.model_event import Calibration, Model, ModelState, Package, Probe
from steadyline.digest import sha256
from steadyline.errors import PackageRejected
from steadyline.store import NotInStore, Store

MODEL, CONFIG, CARD, WEIGHTS = "model.onnx", "config.pbtxt", "card.json", "weights.safetensors"
FILES = (MODEL, CONFIG, CARD, WEIGHTS)
SUMS = "SHA256SUMS"  # lets a package stand alone without an event; `sha256sum -c` reads it too

_TYPES = {CONFIG: "text/plain", CARD: "application/json"}


class Card(Part):
    """What people and the gate want to know of a model, and what is needed to make it again."""

    product: str
    version: int
    detector: str
    profile: str
    seed: int
    trained_at: AwareDatetime
    size: int
    channels: str
    recipe: dict[str, JsonValue]
    false_alarm_rate: float
    calibrations: dict[str, Calibration]
    probes: list[Probe]
    figures: dict[str, float]
    acceptance: dict[str, float]
    lineage: dict[str, str]

    def model(self, package: Package, state: ModelState, reason: str) -> Model:
        """Return the model in the form that events carry."""
        return Model(
            version=self.version,
            detector=self.detector,
            state=state,
            reason=reason,
            trained_at=self.trained_at,
            size=self.size,
            channels="rgb" if self.channels == "rgb" else "gray",
            package=package,
            threshold_version=1,
            calibrations=self.calibrations,
            probes=self.probes,
            lineage=self.lineage,
            figures=self.figures,
        )


def package_key(product: str, version: int) -> str:
    """Return the folder of a package in the store."""
    return f"models/{product}/{version}"


def write_package(store: Store, folder: str, files: Mapping[str, bytes]) -> Package:
    """Write the four files under ``folder`` (a key, or "" for the store itself); return their digests.

    The sums are written last, so a package without them was not written completely. Raises PackageRejected
    when a file is missing or there is one too many, StoreUnavailable when writing fails.
    """
    _check_names(folder, files)
    digests = {name: sha256(files[name]) for name in FILES}
    for name in FILES:
        store.put(_key(folder, name), files[name], _TYPES.get(name, "application/octet-stream"))
    sums = "".join(f"{digest}  {name}\n" for name, digest in digests.items())
    store.put(_key(folder, SUMS), sums.encode(), "text/plain")
    return Package(uri=store.uri(folder), digests=digests)


def read_package(store: Store, folder: str) -> Package:
    """Return a package by its own sums, as ``fit --out`` wrote it; raises PackageRejected."""
    if not store.exists(_key(folder, SUMS)):
        raise PackageRejected(f"{store.uri(folder)} is no finished model package: {SUMS} is missing")
    rows = store.get(_key(folder, SUMS)).decode("utf-8", "replace").splitlines()
    digests = {row.split("  ", 1)[1]: row.split("  ", 1)[0] for row in rows if "  " in row}
    return Package(uri=store.uri(folder), digests=digests)


def load_package(store: Store, package: Package) -> dict[str, bytes]:
    """Return the files of a package by name, each checked against its digest.

    Raises PackageRejected when a file is missing, unknown or does not match, StoreUnavailable when the store
    cannot be read.
    """
    _check_names(package.uri, package.digests)
    files: dict[str, bytes] = {}
    for name, digest in package.digests.items():
        address = f"{package.uri.rstrip('/')}/{name}"
        try:
            files[name] = store.get(address)
        except NotInStore as error:
            raise PackageRejected(f"{address} is missing") from error
        found = sha256(files[name])
        if found != digest:
            raise PackageRejected(f"{address} does not match its digest: {found} instead of {digest}")
    return files


def read_card(files: Mapping[str, bytes]) -> Card:
    """Return the card among loaded files; raises PackageRejected when it does not fit."""
    try:
        return Card.model_validate_json(files[CARD])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise PackageRejected(f"{CARD}: {where}: {first['msg']}") from error


def write_card(card: Card) -> bytes:
    """Return the card as JSON that a person can read."""
    return (json.dumps(card.model_dump(mode="json"), indent=1, sort_keys=True) + "\n").encode()


def _check_names(where: str, names: Mapping[str, object]) -> None:
    missing, unknown = sorted(set(FILES) - set(names)), sorted(set(names) - set(FILES))
    if missing or unknown:
        problems = [f"missing {', '.join(missing)}"] * bool(missing) + [
            f"unknown {', '.join(unknown)}"
        ] * bool(unknown)
        raise PackageRejected(f"package {where}: {'; '.join(problems)}")


def _key(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
