"""What of a model repository Triton may serve: checked folder by folder, and copied where it is elsewhere."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from steadyline.contracts.frame import NAME
from steadyline.digest import sha256
from steadyline.errors import InvalidConfiguration, PackageRejected, StoreUnavailable
from steadyline.model_folder import CONFIG, FENCE, is_aside, is_leftover, version_of
from steadyline.package import CARD, MODEL, MOST_FILE_BYTES, check_card, read_card, read_package
from steadyline.replace_file import replace_file
from steadyline.servers.config_check import unlike_ours
from steadyline.signing import NO_KEYS, TrustedKeys
from steadyline.store import NotInStore, Store
from steadyline.triton import parse_config

MOST_MODEL_BYTES, MOST_CONFIG_BYTES, MOST_CARD_BYTES = MOST_FILE_BYTES, 64 << 10, 64 << 20
_OF_THE_DISK = "lost+found"


@dataclass(frozen=True, slots=True)
class SignedPackages:
    """Where the line's packages lie, and whose signature counts: what a version in service must match."""

    store: Store
    line: str
    trusted: TrustedKeys = NO_KEYS

    def check(self, product: str, version: int, digest: str) -> None:
        """Raise PackageRejected unless the model file with this digest is that of the version's package.

        The package must say so itself, in its card: a signed package may lie in another's place.
        """
        key = f"models/{self.line}/{product}/{version}"
        package = read_package(self.store, key, self.trusted)
        if package.digests.get(MODEL) != digest:
            raise PackageRejected(f"version {version} of {product} is not the model of its package")
        try:
            text = _get(self.store, f"{key}/{CARD}", MOST_CARD_BYTES)
        except NotInStore as error:
            raise PackageRejected(f"{self.store.uri(key)}/{CARD} is missing") from error
        if package.digests.get(CARD) != sha256(text):
            raise PackageRejected(f"{self.store.uri(key)}/{CARD} does not match its digest")
        check_card(read_card({CARD: text}), self.line, product, version)


@dataclass(frozen=True, slots=True)
class Servable:
    """What of a product may be served: its configuration, and the digest of each version's model file."""

    config: bytes
    digests: Mapping[int, str]


class RepositoryReader:
    """Reads a model repository, and tells what of it may be served.

    A product's folder holds ``config.pbtxt``, a trainer's ``.fence`` and ``VERSION/model.onnx``, as plain
    files in plain folders. Where anything else lies the product is refused, because Triton loads libraries
    and programs that it finds there. So is one whose configuration the trainer could not have written; where
    ``packages`` are given, so is a version that is not the model of its package, and so is a model file of
    more than ``most_bytes``.
    """

    def __init__(
        self, source: Store, packages: SignedPackages | None = None, most_bytes: int = MOST_MODEL_BYTES
    ) -> None:
        self._source, self._packages, self._most_bytes = source, packages, most_bytes

    def read(self) -> tuple[dict[str, Servable], list[str]]:
        """Return product → what may be served of it, and what is refused, with why; StoreUnavailable."""
        found: dict[str, Servable] = {}
        refused: list[str] = []
        for product, kind in sorted(self._source.kinds("").items()):
            if product == _OF_THE_DISK:
                continue
            if kind != "directory" or not NAME.fullmatch(product):
                refused.append(f"{product!r}: it is no plain folder with the name of a product: remove it")
                continue
            try:
                versions = self._versions(product)
                config = self._config(product) if versions else b""
            except (PackageRejected, InvalidConfiguration) as error:
                refused.append(f"{product}: {error}")
                continue
            digests = {version: self._digest(product, version, refused) for version in versions}
            taken = {version: digest for version, digest in digests.items() if digest is not None}
            if taken:
                found[product] = Servable(config, taken)
        return found, refused

    def copy(self, found: Mapping[str, Servable], target: Path) -> tuple[dict[str, Servable], list[str]]:
        """Make a folder hold what was found and nothing beside; one file is in memory at a time.

        Returns what is there now, and what was left out, with why: it is no longer what was checked. Raises
        OSError when the folder cannot be written.
        """
        _empty(target)
        copied: dict[str, Servable] = {}
        refused: list[str] = []
        for product, servable in found.items():
            taken = {}
            for version, digest in servable.digests.items():
                file = self._read_again(product, version, digest)
                if file is None:
                    refused.append(f"{product}/{version}: it was changed while it was read")
                    continue
                (target / product / str(version)).mkdir(parents=True)
                replace_file(target / product / str(version) / MODEL, file)
                taken[version] = digest
            if taken:
                replace_file(target / product / CONFIG, servable.config)
                copied[product] = Servable(servable.config, taken)
        return copied, refused

    def _versions(self, product: str) -> list[int]:
        """Return the versions of a product; raises PackageRejected when its folder holds anything else."""
        found = []
        for name, kind in sorted(_kinds(self._source, product).items()):
            version = version_of(name)
            if ((name in (CONFIG, FENCE) or is_aside(name)) and kind == "file") or is_leftover(name):
                continue
            if version is None or kind != "directory":
                raise PackageRejected(f"{name!r} in its folder is not the trainer's ({kind}): remove it")
            inside = _kinds(self._source, f"{product}/{name}")
            strange = sorted(one for one in inside.items() if one != (MODEL, "file"))
            if strange:
                told = ", ".join(f"{one!r} ({of})" for one, of in strange[:5])
                raise PackageRejected(f"{name} holds {told} beside a plain {MODEL}: remove it")
            if inside:  # an object store has no empty folders, and Triton finds nothing in one
                found.append(version)
        return sorted(found)

    def _config(self, product: str) -> bytes:
        """Return the product's configuration once it is known to be one that the trainer could write."""
        try:
            with _refused():
                text = _get(self._source, f"{product}/{CONFIG}", MOST_CONFIG_BYTES)
        except NotInStore as error:
            raise PackageRejected(f"{CONFIG} is missing") from error
        unlike = list(unlike_ours(parse_config(text.decode("utf-8", "replace")), product))
        if unlike:
            raise PackageRejected(f"{CONFIG} is not one that the trainer writes: {', '.join(unlike)}")
        return text

    def _digest(self, product: str, version: int, refused: list[str]) -> str | None:
        """Return the digest of a version's model file, or None, with the reason noted, when it is refused."""
        try:
            with _refused():
                digest = sha256(_get(self._source, f"{product}/{version}/{MODEL}", self._most_bytes))
            if self._packages is not None:
                self._packages.check(product, version, digest)
        except (NotInStore, PackageRejected) as error:
            refused.append(f"{product}/{version}: {error}")
            return None
        return digest

    def _read_again(self, product: str, version: int, digest: str) -> bytes | None:
        try:
            with _refused():
                file = _get(self._source, f"{product}/{version}/{MODEL}", self._most_bytes)
        except (NotInStore, PackageRejected):
            return None
        return file if sha256(file) == digest else None


def _get(store: Store, key: str, most_bytes: int) -> bytes:
    """Return an object; raises NotInStore, and PackageRejected when it is larger than may be."""
    data = store.get(key, most_bytes)
    if len(data) > most_bytes:
        raise PackageRejected(f"{key.rsplit('/', 1)[-1]} is larger than {most_bytes} bytes")
    return data


def _kinds(store: Store, folder: str) -> dict[str, str]:
    """Return what lies in a folder, by name; raises PackageRejected when we may not look."""
    with _refused():
        return store.kinds(folder)


@contextmanager
def _refused() -> Iterator[None]:
    """Refuse what we may not read, and only that: one closed folder keeps no other product out."""
    try:
        yield
    except StoreUnavailable as error:
        if isinstance(error.__cause__, PermissionError):
            raise PackageRejected(str(error)) from error
        raise


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            if path.name != _OF_THE_DISK:
                shutil.rmtree(path)
        else:
            path.unlink()
