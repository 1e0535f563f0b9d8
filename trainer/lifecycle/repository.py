"""Triton's model repository on disk: a version appears whole or not at all, and at most two are kept."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from steadyline.errors import InvalidConfiguration, StoreUnavailable
from steadyline.folder_lock import FolderInUse, FolderLock
from steadyline.model_folder import CONFIG, FENCE, aside_name, is_aside, is_leftover, version_of
from steadyline.package import MODEL
from steadyline.replace_file import replace_file
from steadyline.triton_config import KEPT_VERSIONS
from trainer.lifecycle.leases import LeaseLost


def _without_lease(product: str, seen: int) -> int:
    """Return the least token: a repository that no trainer writes to needs no lease."""
    return 0


class ModelRepository:
    """``<root>/<product>/config.pbtxt`` and ``<root>/<product>/<version>/model.onnx``.

    Methods raise StoreUnavailable when the disk refuses (full, read-only).

    ``<root>/<product>/.fence`` keeps the greatest fencing token that has written there. Each write looks at
    it under a lock: a smaller token is of a trainer that lost its lease, for example while it was frozen, and
    raises LeaseLost. ``token_above`` gives the token of a product's lease, taken anew when it is smaller than
    the one seen here although the lease is held: Redis has then lost its count.
    """

    def __init__(self, root: Path, token_above: Callable[[str, int], int] = _without_lease) -> None:
        self._root, self._token_above = root, token_above

    def versions(self, product: str) -> list[int]:
        """Return the versions on disk in ascending order."""
        folder = self._root / product
        if not folder.is_dir():
            return []
        found = (version_of(entry.name) for entry in folder.iterdir())
        return sorted(version for version in found if version is not None)

    def publish(self, product: str, version: int, file: bytes, config: bytes, keep: int | None) -> None:
        """Put ``version``, whose model file this is, beside ``keep`` (the live one); any other version, and
        whatever else lies in the product's folder, is removed first: Triton would run a library there.

        Existing files stay when they are the same and are replaced when they differ, or when anything lies
        beside them. Triton serves only the two greatest versions. If the new one is smaller (a rollback), a
        third version would displace the live one, so there never is a third.
        """
        folder = self._root / product
        with self._written(product, f"version {version} of {product} cannot be written to {folder}"):
            self._prune(product, {version, keep})
            _remove_strange(folder)
            if not _holds_one_file(folder / str(version)) or _read(folder / str(version) / MODEL) != file:
                self._remove(product, version)
                self._write(folder, version, file)
            replace_file(folder / CONFIG, config, sync=True)
            if keep is not None:
                _forget_aside(folder)  # none is needed beside the live one itself
            _sync_folder(folder)

    def set_aside(self, product: str, version: int) -> None:
        """Move the file of a version, which another one takes the place of, to where Triton does not look.

        It stays there as the way back, until a version is published beside another one or it is published
        itself; any other one that lies aside is removed.
        """
        folder = self._root / product
        with self._written(product, f"version {version} of {product} cannot be set aside in {folder}"):
            served, aside = folder / str(version) / MODEL, folder / aside_name(version)
            _forget_aside(folder, but=aside.name)
            if _is_plain(served):
                _clear(aside)
                served.rename(aside)
            self._remove(product, version)
            _sync_folder(folder)

    def model_file(self, product: str, version: int) -> bytes | None:
        """Return the model file of a version as it lies there or aside, or None when there is none."""
        folder = self._root / product
        served = _read(folder / str(version) / MODEL)
        return _read(folder / aside_name(version)) if served is None else served

    def touch(self, product: str, version: int) -> None:
        """Make Triton see the version as changed, so that the next load reloads it, and only it."""
        with self._written(product, f"version {version} of {product} cannot be touched"):
            _remove_strange(self._root / product)
            (self._root / product / str(version) / MODEL).touch()

    def remove(self, product: str, version: int) -> None:
        """Remove a version, and what is not ours beside it; it is no error when there is none."""
        with self._written(product, f"version {version} of {product} cannot be removed"):
            self._remove(product, version)
            _remove_strange(self._root / product)

    @contextmanager
    def _written(self, product: str, problem: str) -> Iterator[None]:
        """Keep the product's folder for one write, and refuse a writer whose lease is another's by now."""
        folder = self._root / product
        lock = FolderLock(folder, FENCE)
        try:
            for link in (folder, folder / FENCE):
                if link.is_symlink():  # neither is ours, and what is behind it is not ours to write
                    link.unlink()
            with lock:
                text = lock.read()
                greatest = int(text) if text.isdecimal() else 0
                ours = self._token_above(product, greatest)
                if ours < greatest:
                    raise LeaseLost(f"{problem}: a trainer that took {product} over has written there")
                if ours > greatest:
                    lock.keep(str(ours))
                yield
        except FolderInUse as error:
            raise StoreUnavailable(f"{problem}: another trainer is writing there") from error
        except OSError as error:
            raise StoreUnavailable(f"{problem}: {error}") from error

    def _remove(self, product: str, version: int) -> None:
        folder = self._root / product
        gone = folder / f".gone{version}"
        for there in (gone, folder / str(version)):
            if there.is_symlink() or there.is_file():
                there.unlink()
        if (folder / str(version)).exists():
            shutil.rmtree(gone, ignore_errors=True)
            (folder / str(version)).rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def _prune(self, product: str, wanted: set[int | None]) -> None:
        for version in self.versions(product):
            if version not in wanted:
                self._remove(product, version)
        assert len(set(self.versions(product)) | (wanted - {None})) <= KEPT_VERSIONS

    def _write(self, folder: Path, version: int, model: bytes) -> None:
        building = folder / f".tmp{version}"
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir()
        aside = folder / aside_name(version)
        if _is_plain(aside) and _read(aside) == model:
            aside.rename(building / MODEL)  # a full disk has room for that
        else:
            replace_file(building / MODEL, model, sync=True)
        _sync_folder(building)
        building.rename(folder / str(version))


def verify_repository(root: Path) -> None:
    """Raise InvalidConfiguration when the folder is missing or cannot be written."""
    if not root.is_dir() or not os.access(root, os.W_OK | os.X_OK):
        raise InvalidConfiguration(f"TRITON_REPOSITORY={root} is no folder that can be written")


def _read(path: Path) -> bytes | None:
    """Return a file's bytes, or None when there is no such file."""
    try:
        return path.read_bytes()
    except OSError:
        return None


def _holds_one_file(folder: Path) -> bool:
    """Return True when a plain folder holds a plain model file and nothing else: no link, no code."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        return [(entry.name, entry.is_file(follow_symlinks=False)) for entry in entries] == [(MODEL, True)]


def _remove_strange(folder: Path) -> None:
    """Remove from a product's folder what no trainer writes, and from its versions what is no model file."""
    for path in list(folder.iterdir()):
        is_version = version_of(path.name) is not None
        if is_version and path.is_dir() and not path.is_symlink():
            for one in list(path.iterdir()):
                if one.name != MODEL or not _is_plain(one):
                    _clear(one)
            if not any(path.iterdir()):
                path.rmdir()
        elif is_aside(path.name) and _is_plain(path):
            continue  # the one way back where the store has lost its package
        elif is_leftover(path.name):
            _clear(path, ignore_errors=True)  # Triton reads none of them
        elif path.name not in (CONFIG, FENCE) or not _is_plain(path):
            _clear(path)


def _forget_aside(folder: Path, but: str = "") -> None:
    """Remove the files of versions that lie aside, but for the one of this name."""
    for path in list(folder.iterdir()):
        if is_aside(path.name) and path.name != but:
            _clear(path)


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _clear(path: Path, ignore_errors: bool = False) -> None:
    """Remove whatever lies there; behind a link nothing is touched."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=ignore_errors)
    else:
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
