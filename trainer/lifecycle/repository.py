"""Triton's model repository on disk: a version appears whole or not at all, and at most two are kept."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from steadyline.digest import sha256
from steadyline.errors import InvalidConfiguration, StoreUnavailable
from steadyline.package import CONFIG, MODEL
from steadyline.replace_file import replace_file
from trainer.triton_config import KEPT_VERSIONS


class ModelRepository:
    """``<root>/<product>/config.pbtxt`` and ``<root>/<product>/<version>/model.onnx``.

    Methods raise StoreUnavailable when the disk refuses (full, read-only).
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def verify(self) -> None:
        """Raise InvalidConfiguration when the folder is missing or cannot be written."""
        if not self._root.is_dir() or not os.access(self._root, os.W_OK | os.X_OK):
            raise InvalidConfiguration(f"TRITON_REPOSITORY={self._root} is no folder that can be written")

    def versions(self, product: str) -> list[int]:
        """Return the versions on disk in ascending order."""
        folder = self._root / product
        if not folder.is_dir():
            return []
        return sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdigit())

    def publish(self, product: str, version: int, files: Mapping[str, bytes], keep: int | None) -> None:
        """Put ``version`` beside ``keep`` (the live one); any other version is removed first.

        Existing files stay when they are the same and are replaced when they differ. Triton serves only the
        two greatest versions. If the new one is smaller (a rollback), a third version would displace the live
        one, so there never is a third.
        """
        folder = self._root / product
        try:
            folder.mkdir(exist_ok=True)
            self._prune(product, {version, keep})
            if _read(folder / str(version) / MODEL) != files[MODEL]:
                self.remove(product, version)
                self._write(folder, version, files[MODEL])
            replace_file(folder / CONFIG, files[CONFIG], sync=True)
            _sync_folder(folder)
        except OSError as error:
            raise StoreUnavailable(
                f"version {version} of {product} cannot be written to {folder}: {error}"
            ) from error

    def holds(self, product: str, version: int, digests: Mapping[str, str]) -> bool:
        """Tell whether the version is there with files of these digests."""
        folder = self._root / product
        found = {CONFIG: _read(folder / CONFIG), MODEL: _read(folder / str(version) / MODEL)}
        return all(data is not None and sha256(data) == digests.get(name) for name, data in found.items())

    def touch(self, product: str, version: int) -> None:
        """Make Triton see the version as changed, so that the next load really reloads it."""
        try:
            (self._root / product / str(version) / MODEL).touch()
        except OSError as error:
            raise StoreUnavailable(f"version {version} of {product} cannot be touched: {error}") from error

    def remove(self, product: str, version: int) -> None:
        """Remove a version; it is no error when there is none."""
        folder = self._root / product
        gone = folder / f".gone{version}"
        try:
            if (folder / str(version)).exists():
                shutil.rmtree(gone, ignore_errors=True)
                (folder / str(version)).rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
        except OSError as error:
            raise StoreUnavailable(f"version {version} of {product} cannot be removed: {error}") from error

    def _prune(self, product: str, wanted: set[int | None]) -> None:
        for version in self.versions(product):
            if version not in wanted:
                self.remove(product, version)
        assert len(set(self.versions(product)) | (wanted - {None})) <= KEPT_VERSIONS

    def _write(self, folder: Path, version: int, model: bytes) -> None:
        building = folder / f".tmp{version}"
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir()
        replace_file(building / MODEL, model, sync=True)
        _sync_folder(building)
        building.rename(folder / str(version))


def _read(path: Path) -> bytes | None:
    """Return a file's bytes, or None when there is no such file."""
    try:
        return path.read_bytes()
    except OSError:
        return None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
