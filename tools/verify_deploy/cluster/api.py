"""The Kubernetes API over HTTPS, as much of it as the checks need."""

import json
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

Manifest = dict[str, Any]
JSON = "application/json"
PATCH_TYPES = {"PATCH": "application/merge-patch+json"}
FIRST_ERROR, NOT_FOUND, LATER = 400, 404, 429
PATIENCE_SECONDS, POLL_SECONDS = 15.0, 0.2
TIMEOUT_SECONDS = 20.0
WATCH_SECONDS = 3600.0  # a quiet watch is no broken one
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


class ApiRefused(Exception):
    """The API server said no: its status code and its words."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(frozen=True, slots=True)
class ResourceType:
    """A kind that the server knows: where its objects are, and whether they can be listed."""

    version: str
    kind: str
    plural: str
    is_namespaced: bool
    can_list: bool

    def path(self, namespace: str | None = None) -> str:
        """Return the path of its objects: of one namespace, or of all."""
        root = f"/apis/{self.version}" if "/" in self.version else f"/api/{self.version}"
        place = f"/namespaces/{namespace}" if namespace and self.is_namespaced else ""
        return f"{root}{place}/{self.plural}"


class ClusterApi:
    """One API server, spoken to as one user; each thread has a connection of its own, which is kept."""

    def __init__(self, address: str, token: str, authority: Path) -> None:
        self._address, self._token = address, token
        self._context = ssl.create_default_context(cafile=str(authority))
        self._kept = threading.local()

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Return what the server answers, decoded; raises ApiRefused, or OSError when it does not answer.

        A server that asks for patience, as for a kind that was just defined, is asked again for some seconds.
        """
        sent = None if body is None else json.dumps(body).encode()
        own = {**self._authorization, "Content-Type": PATCH_TYPES.get(method, JSON)}
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            status, text = self._exchange(method, path, sent, {**own, **(headers or {})})
            if status != LATER or time.monotonic() > end:
                break
            time.sleep(POLL_SECONDS)
        if status >= FIRST_ERROR:
            raise ApiRefused(status, _message(text))
        return json.loads(text) if text[:1] in (b"{", b"[") else text.decode()

    def _exchange(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """Send a request; once more when the connection had been closed while it was idle."""
        for is_last in (False, True):
            connection = self._connection()
            try:
                connection.request(method, path, body, dict(headers))
                answer = connection.getresponse()
                return answer.status, answer.read()
            except (OSError, HTTPException) as error:
                self.close()
                if is_last or not isinstance(error, ConnectionError):
                    raise OSError(f"{method} {path}: {error}") from error
        raise AssertionError("the second attempt returns or raises")

    def close(self) -> None:
        """Close the connection of this thread; the next call makes another."""
        connection: HTTPSConnection | None = getattr(self._kept, "connection", None)
        if connection is not None:
            connection.close()
            self._kept.connection = None

    def _connection(self) -> HTTPSConnection:
        kept: HTTPSConnection | None = getattr(self._kept, "connection", None)
        if kept is None:
            kept = HTTPSConnection(self._address, timeout=TIMEOUT_SECONDS, context=self._context)
            self._kept.connection = kept
        return kept

    def create(self, manifest: Manifest, namespace: str | None = None, dry_run: bool = False) -> Any:
        """Create one object, unknown fields refused; raises ApiRefused."""
        options = {"fieldValidation": "Strict", **({"dryRun": "All"} if dry_run else {})}
        path = self.resource(manifest["apiVersion"], manifest["kind"]).path(namespace)
        return self.call("POST", f"{path}?{urlencode(options)}", manifest)

    def resource(self, version: str, kind: str) -> ResourceType:
        """Return a kind that the server knows; raises ApiRefused when it does not."""
        try:
            known = self.resources_of(version)
        except ApiRefused as error:
            if error.code != NOT_FOUND:
                raise
            known = []
        for found in known:
            if found.kind == kind:
                return found
        raise ApiRefused(NOT_FOUND, f"no kind {kind} in {version}")

    def resources_of(self, version: str) -> list[ResourceType]:
        """Return the kinds of one group and version."""
        path = f"/apis/{version}" if "/" in version else f"/api/{version}"
        return [
            ResourceType(version, one["kind"], one["name"], one["namespaced"], "list" in one["verbs"])
            for one in self.call("GET", path)["resources"]
            if "/" not in one["name"]
        ]

    def resources(self) -> list[ResourceType]:
        """Return every kind that can be listed, each in the version that the server prefers."""
        groups = self.call("GET", "/apis")["groups"]
        versions = ["v1", *(group["preferredVersion"]["groupVersion"] for group in groups)]
        return [found for version in versions for found in self.resources_of(version) if found.can_list]

    def items(self, path: str) -> list[Manifest]:
        """Return the objects of a path."""
        found: list[Manifest] = self.call("GET", path)["items"]
        return found

    def metadata(self, path: str) -> list[Manifest]:
        """Return the metadata of the objects of a path: definitions of kinds, for example, are megabytes."""
        found: list[Manifest] | None = self.call("GET", path, headers={"Accept": _METADATA})["items"]
        return [one["metadata"] for one in found or ()]

    def watched(self, path: str) -> Iterator[Manifest]:
        """Yield each object of a path as it is now, and again whenever it is made or changed.

        It ends when the server ends the watch; raises OSError when the connection breaks.
        """
        listed = self.call("GET", path)
        yield from listed["items"]
        options = {"watch": "1", "resourceVersion": listed["metadata"]["resourceVersion"]}
        connection = HTTPSConnection(self._address, timeout=WATCH_SECONDS, context=self._context)
        try:
            connection.request("GET", f"{path}?{urlencode(options)}", headers=self._authorization)
            for line in connection.getresponse():
                event = json.loads(line)
                if event["type"] == "ERROR":  # too old: whoever watches begins anew
                    return
                if event["type"] != "DELETED":
                    yield event["object"]
        except HTTPException as error:
            raise OSError(f"the watch of {path} broke: {error}") from error
        finally:
            connection.close()

    @property
    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:500]
