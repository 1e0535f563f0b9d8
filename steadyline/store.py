"""The store on fsspec: evidence, model packages, training normals; ``file://``, ``memory://`` and ``s3://``.

An object that was put survives a crash of the process. In a power cut it is as safe as the disk's cache, like
what Kafka acknowledges. A plant that needs more uses replicated storage for both.
"""

import os
import uuid
from pathlib import Path
from typing import Any

import fsspec

from steadyline.errors import InvalidConfiguration, StoreUnavailable
from steadyline.replace_file import replace_file


class NotInStore(KeyError):
    """There is no object under that key."""


class Store:
    """Objects by key below one address. Thread-safe; an object is there whole or not at all."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        try:
            self._files, self._root = fsspec.core.url_to_fs(self._url)
        except (ValueError, ImportError, OSError) as error:
            raise InvalidConfiguration(f"store {url!r}: {error}") from error
        self._root = str(self._root).rstrip("/")
        self._is_local = "file" in _protocols(self._files)
        self._outages = _outages(self._files)

    def uri(self, key: str) -> str:
        """Return the address of ``key``, which ``get`` accepts as well."""
        return f"{self._url}/{key}"

    def put(self, key: str, data: bytes, content_type: str = "application/octet-stream") -> str:
        """Write an object in place of an earlier one and return its address.

        Raises StoreUnavailable when it cannot be written, for example to a full disk; no part of it stays
        then.
        """
        path = self._path(key)
        try:
            if self._is_local:
                self._put_local(path, data)
            else:
                options = {"ContentType": content_type} if "s3" in _protocols(self._files) else {}
                self._files.pipe_file(path, data, **options)
        except self._outages as error:
            raise StoreUnavailable(f"{self.uri(key)} cannot be written: {error}") from error
        return self.uri(key)

    def get(self, uri_or_key: str) -> bytes:
        """Return an object; raises NotInStore, or StoreUnavailable when the store does not answer."""
        try:
            return bytes(self._files.cat_file(self._path(self._key(uri_or_key))))
        except FileNotFoundError as error:
            raise NotInStore(uri_or_key) from error
        except self._outages as error:
            raise StoreUnavailable(f"{self.uri(self._key(uri_or_key))} cannot be read: {error}") from error

    def exists(self, uri_or_key: str) -> bool:
        """Tell whether the object is there."""
        try:
            self._files.invalidate_cache()
            return bool(self._files.exists(self._path(self._key(uri_or_key))))
        except self._outages as error:
            raise StoreUnavailable(
                f"{self.uri(self._key(uri_or_key))} cannot be looked up: {error}"
            ) from error

    def list(self, prefix: str) -> list[str]:
        """Return the keys below ``prefix`` (a folder) in ascending order."""
        try:
            self._files.invalidate_cache()
            found = self._files.find(self._path(prefix))
        except FileNotFoundError:
            return []
        except self._outages as error:
            raise StoreUnavailable(f"{self.uri(prefix)} cannot be listed: {error}") from error
        keys = (str(path)[len(self._root) + 1 :] for path in found)
        return sorted(key for key in keys if not key.rsplit("/", 1)[-1].startswith(".half-"))

    def delete(self, prefix: str) -> None:
        """Remove an object, or everything below a folder; it is no error when there is nothing."""
        try:
            self._files.rm(self._path(prefix), recursive=True)
        except FileNotFoundError:
            return
        except self._outages as error:
            raise StoreUnavailable(f"{self.uri(prefix)} cannot be removed: {error}") from error

    def _key(self, uri_or_key: str) -> str:
        if "://" not in uri_or_key:
            return uri_or_key
        if not uri_or_key.startswith(self._url + "/"):
            raise NotInStore(f"{uri_or_key} is not in the store {self._url}")
        return uri_or_key[len(self._url) + 1 :]

    def _path(self, key: str) -> str:
        parts = key.split("/")
        if any(part in ("", ".", "..") or set("*?[\0") & set(part) for part in parts):
            raise ValueError(f"{key!r} is no key of the store")
        return f"{self._root}/{key}"

    def _put_local(self, path: str, data: bytes) -> None:
        """Replace an object's file; several processes may write one object at the same time."""
        folder, name = os.path.split(path)
        os.makedirs(folder, exist_ok=True)
        half = os.path.join(folder, f".half-{uuid.uuid4().hex}-{name}")
        replace_file(Path(path), data, partial=Path(half))


def _outages(files: Any) -> tuple[type[Exception], ...]:
    """Return the errors of a store that is away; botocore's connection errors are no OSErrors."""
    if "s3" not in _protocols(files):
        return (OSError,)
    from botocore.exceptions import BotoCoreError

    return (OSError, BotoCoreError)


def _protocols(files: Any) -> tuple[str, ...]:
    return (files.protocol,) if isinstance(files.protocol, str) else tuple(files.protocol)
