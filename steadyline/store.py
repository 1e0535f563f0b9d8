"""The store on fsspec: evidence, model packages, training normals; ``file://``, ``memory://`` and ``s3://``.

An object that was put survives a crash of the process. In a power cut it is as safe as the disk's cache, like
what Kafka acknowledges. A plant that needs more uses replicated storage for both.
"""

import asyncio
import os
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import fsspec

from steadyline.address import shown
from steadyline.daemon_pool import DaemonPool
from steadyline.errors import InvalidConfiguration, StoreUnavailable
from steadyline.in_clear import ClearSecret
from steadyline.replace_file import replace_file
from steadyline.waited_time import within_waited_time

T = TypeVar("T")

TIMEOUT = timedelta(seconds=30)
CREDENTIALS_WITHIN = timedelta(
    seconds=3
)  # a process that cannot have any is told so within six, start and all
_SLOWEST_BYTES = 1 << 20  # a second: what a write may take beyond the timeout
_MOST_HANGING = 64  # calls of one store; while so many hang, further ones wait for one of them


_NO_CREDENTIALS = (
    *("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"),
    *("MetadataRetrievalError", "ProfileNotFound"),
)
_CREDENTIALS = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SHARED_CREDENTIALS_FILE and AWS_PROFILE, or "
    "give the process a role whose service can be reached"
)


class NotInStore(KeyError):
    """There is no object under that key."""


class Store:
    """Objects by key below one address. Thread-safe; an object is there whole or not at all.

    No call lasts longer than ``timeout``, however long the store hangs (a lost NFS server, a request that is
    never answered): it raises StoreUnavailable then. What it had begun may still come to pass later.

    ``may_be_clear`` allows an ``s3://`` store to be reached by http:// outside of this machine.
    """

    def __init__(self, url: str, timeout: timedelta = TIMEOUT, may_be_clear: bool = False) -> None:
        """Raises InvalidConfiguration when the address is of no store, or what it leads to is in clear.

        An object store is asked nothing yet, but its credentials are looked up: raises StoreUnavailable when
        there are none within CREDENTIALS_WITHIN, or no client of the store within ``timeout``.
        """
        self._url, self._timeout = url.rstrip("/"), timeout.total_seconds()
        self._pool = DaemonPool(_MOST_HANGING, "store")
        try:
            self._files, self._root = fsspec.core.url_to_fs(self._url)
        except (ValueError, ImportError, OSError) as error:
            raise InvalidConfiguration(f"store {url!r}: {error}") from error
        self._root = str(self._root).rstrip("/")
        self._is_local = "file" in _protocols(self._files)
        self._outages = _outages(self._files)
        if "s3" in _protocols(self._files):
            self._open(may_be_clear)

    def _open(self, may_be_clear: bool) -> None:
        """Look up the credentials of an object store, and make its client.

        Credentials come first: they are waited for at somebody else's door and have a limit of their own; the
        client, which takes them from the same session, is then a matter of this machine's own speed.
        """
        problem = f"{self._url} cannot be opened"
        if not (self._files.anon or self._files.key):
            self._within(problem, self._find_credentials)
        self._within(problem, self._files.connect)
        self._files.s3.meta.events.register_first("needs-retry.s3", _give_up, unique_id=__name__)
        if not may_be_clear:
            self._refuse_clear()

    def _find_credentials(self) -> None:
        """Take up credentials; raises botocore's errors, or TimeoutError when nobody answers about them."""
        seconds = min(self._timeout, CREDENTIALS_WITHIN.total_seconds())
        asyncio.run_coroutine_threadsafe(
            within_waited_time(_take_credentials(self._files), seconds), self._files.loop
        ).result()

    def _refuse_clear(self) -> None:
        """Raise InvalidConfiguration when requests would go over the network in clear."""
        endpoint = str(self._files.s3.meta.endpoint_url)
        if not endpoint.startswith("http://"):
            return
        try:
            ClearSecret(
                f"what goes to the store {self._url} at {shown(endpoint)}",
                "write https:// into AWS_ENDPOINT_URL",
                "`store_in_clear: true` in the line file",
            ).refuse([urlsplit(endpoint).hostname or ""])
        except ValueError as error:
            raise InvalidConfiguration(str(error)) from None

    @property
    def url(self) -> str:
        """The address of the store."""
        return self._url

    def uri(self, key: str) -> str:
        """Return the address of ``key``, which ``get`` accepts as well."""
        return f"{self._url}/{key}"

    def put(self, key: str, data: bytes, content_type: str = "application/octet-stream") -> str:
        """Write an object in place of an earlier one and return its address.

        Raises StoreUnavailable when it cannot be written, for example to a full disk; no part of it stays
        then. A large object may take longer than others.
        """
        path = self._path(key)

        def write() -> None:
            if self._is_local:
                self._put_local(path, data)
            else:
                options = {"ContentType": content_type} if "s3" in _protocols(self._files) else {}
                self._files.pipe_file(path, data, **options)

        self._within(f"{self.uri(key)} cannot be written", write, len(data) / _SLOWEST_BYTES)
        return self.uri(key)

    def get(self, uri_or_key: str, most_bytes: int | None = None) -> bytes:
        """Return an object; raises NotInStore, or StoreUnavailable when the store does not answer.

        Of one that is larger than ``most_bytes`` only one byte more than these is read.
        """
        key = self.key(uri_or_key)
        path, end = self._path(key), None if most_bytes is None else most_bytes + 1

        def read() -> bytes:
            try:
                return bytes(self._files.cat_file(path, end=end))
            except (FileNotFoundError, IsADirectoryError) as error:
                raise NotInStore(uri_or_key) from error

        return self._within(f"{self.uri(key)} cannot be read", read)

    def exists(self, uri_or_key: str) -> bool:
        """Tell whether the object is there."""
        key = self.key(uri_or_key)
        path = self._path(key)

        def look() -> bool:
            self._files.invalidate_cache()
            return bool(self._files.exists(path))

        return self._within(f"{self.uri(key)} cannot be looked up", look)

    def list(self, prefix: str) -> list[str]:
        """Return the keys below ``prefix`` (a folder, "" for the whole store) in ascending order."""
        path = self._path(prefix) if prefix else self._root

        def find() -> Iterable[str]:
            self._files.invalidate_cache()
            with suppress(FileNotFoundError):
                return list(self._files.find(path))
            return ()

        found = self._within(f"{self.uri(prefix)} cannot be listed", find)
        keys = (str(path)[len(self._root) + 1 :] for path in found)
        return sorted(key for key in keys if not key.rsplit("/", 1)[-1].startswith(".half-"))

    def kinds(self, folder: str) -> dict[str, str]:
        """Return the name of all that lies directly in a folder, with ``file``, ``directory`` or, of a link
        or a pipe, ``other``.

        "" is the store itself. A folder that is a link is not looked into: it is told under the name ``.``.
        """
        path = self._path(folder) if folder else self._root

        def look() -> dict[str, str]:
            self._files.invalidate_cache()
            if folder and self._is_local and os.path.islink(path):
                return {".": "other"}
            with suppress(FileNotFoundError, NotADirectoryError):
                rows = self._files.ls(path, detail=True)
                found = {str(row["name"]).rstrip("/"): str(row["type"]) for row in rows}
                return {name[len(path) + 1 :]: kind for name, kind in found.items() if len(name) > len(path)}
            return {}

        found = self._within(f"{self.uri(folder)} cannot be listed", look)
        return {name: kind for name, kind in found.items() if not name.startswith(".half-")}

    def delete(self, prefix: str) -> None:
        """Remove an object, or everything below a folder; it is no error when there is nothing."""
        path = self._path(prefix)

        def remove() -> None:
            with suppress(FileNotFoundError):
                self._files.rm(path, recursive=True)

        self._within(f"{self.uri(prefix)} cannot be removed", remove)

    def _within(self, problem: str, call: Callable[[], T], more_seconds: float = 0.0) -> T:
        """Return what a call returns; raises StoreUnavailable when it fails or does not return in time."""
        answer = self._pool.submit(call)
        seconds = self._timeout + more_seconds
        try:
            return answer.result(seconds)
        except self._outages as error:  # a deadline that has passed is an OSError as well
            reason = f"{error}" if answer.done() else f"no answer within {seconds:.3g} s"
            reason += self._hint(error)
            answer.cancel()
            raise StoreUnavailable(f"{problem}: {reason}") from error

    def _hint(self, error: Exception) -> str:
        """Return what to do about a refusal of an object store, with a separator before it."""
        if self._is_local:
            return ""
        if isinstance(error, PermissionError):
            return (
                "; the store refuses these credentials: see AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
                "the files that AWS_SHARED_CREDENTIALS_FILE and AWS_PROFILE name, and their owner's rights"
            )
        if type(error).__name__ in _NO_CREDENTIALS:
            return f"; there are no AWS credentials here: {_CREDENTIALS}"
        if type(error).__name__ == "ClientError":  # the store's own refusals are no such error any more
            return f"; who gives this process its AWS credentials refuses: {_CREDENTIALS}"
        if isinstance(error, TimeoutError):
            return f"; the store, or who gives this process its AWS credentials, hangs: {_CREDENTIALS}"
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return "; AWS_CA_BUNDLE must name the authority that signed the store's certificate"
        return ""

    def key(self, uri_or_key: str) -> str:
        """Return the key of an address; raises NotInStore when it is an address of another store."""
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


def _give_up(caught_exception: Exception | None = None, **_: Any) -> None:
    """Raise what no repetition mends: the client would ask an authority that it does not know five times."""
    if caught_exception is not None and "CERTIFICATE_VERIFY_FAILED" in str(caught_exception):
        raise caught_exception


def _outages(files: Any) -> tuple[type[Exception], ...]:
    """Return the errors of a store that is away; botocore's connection errors are no OSErrors."""
    if "s3" not in _protocols(files):
        return (OSError,)
    from botocore.exceptions import BotoCoreError, ClientError

    return (OSError, BotoCoreError, ClientError)


async def _take_credentials(files: Any) -> None:
    """Give an object store a session that has credentials; raises botocore's errors."""
    from aiobotocore.session import AioSession
    from botocore.exceptions import NoCredentialsError

    files.session = files.session or AioSession(**files.kwargs)
    found = await files.session.get_credentials()
    if found is None:
        raise NoCredentialsError
    await found.get_frozen_credentials()


def _protocols(files: Any) -> tuple[str, ...]:
    return (files.protocol,) if isinstance(files.protocol, str) else tuple(files.protocol)
