"""A client of the alerts' API, on the standard library alone."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPException
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from typing_extensions import override

from steadyline.address import is_loopback
from steadyline.clock import SystemClock
from steadyline.errors import InvalidConfiguration, SteadylineError, Transient

_MOST_BYTES = 16 << 20
_MOST_LINE = 1 << 20  # bytes of one change of the stream
_PAGE = 100
_AGAIN = timedelta(seconds=3)  # after which a stream that was cut is asked for again


class AlertsUnavailable(Transient):
    """The API of the alerts does not answer, or something that is none does."""

    reason = "alerts_unavailable"


class AlertsRefused(InvalidConfiguration):
    """The API refuses what the command line asks for."""

    reason = "alerts_refused"


@dataclass(frozen=True, slots=True)
class AlertsAnswer:
    """What the API says: JSON, and the ETag that a change needs."""

    body: Any
    etag: str | None


@dataclass(frozen=True, slots=True)
class DownloadedBytes:
    """A file that the API gives: a picture, or a map."""

    data: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class StreamedChange:
    """One change of an incident, and its number."""

    id: int
    alert: Any


class AlertsClient:
    """Calls the API at ``url``; ``token`` goes to that address alone, never along a redirect."""

    def __init__(self, url: str, token: str, timeout: timedelta = timedelta(seconds=30)) -> None:
        self._base, self._token = f"{url}/api/v1", token
        self._timeout = timeout.total_seconds()
        self._opener = urllib.request.build_opener(_StayHere())

    def get(self, *path: str, **query: str | int | Sequence[str] | None) -> AlertsAnswer:
        """Read something; raises AlertsRefused or AlertsUnavailable."""
        given = {name: value for name, value in query.items() if value is not None}
        text = urlencode(given, doseq=True)
        return self._call("GET", path, text and f"?{text}")

    def post(self, *path: str, body: object = None, **headers: str) -> AlertsAnswer:
        """Do or make something; raises AlertsRefused or AlertsUnavailable."""
        return self._call("POST", path, body=body, headers=headers)

    def put(self, *path: str, body: object = None, **headers: str) -> AlertsAnswer:
        """Replace something; raises AlertsRefused or AlertsUnavailable."""
        return self._call("PUT", path, body=body, headers=headers)

    def delete(self, *path: str, **headers: str) -> AlertsAnswer:
        """Delete something; raises AlertsRefused or AlertsUnavailable."""
        return self._call("DELETE", path, headers=headers)

    def entries(self, path: str, limit: int, **query: Any) -> Iterator[dict[str, Any]]:
        """Yield the first entries of a list, over any number of pages."""
        cursor: str | None = None
        while limit > 0:
            page = self.get(*path.split("/"), limit=min(limit, _PAGE), cursor=cursor, **query).body
            yield from page["items"]
            limit, cursor = limit - len(page["items"]), page["next"]
            if cursor is None:
                return

    def download(self, *path: str) -> DownloadedBytes:
        """Read a file; raises AlertsRefused or AlertsUnavailable."""
        with self._open(self._request("GET", path)) as answer:
            return DownloadedBytes(answer.read(_MOST_BYTES), str(answer.headers.get("Content-Type", "")))

    def follow(self, after: int | None, on_cut: Callable[[str], None]) -> Iterator[StreamedChange]:
        """Yield every change behind ``after``, or from now on, for ever.

        A stream that is cut is opened again behind the last change, once ``on_cut`` was told why. Raises
        AlertsRefused, and AlertsUnavailable where the very first connection fails.
        """
        clock, never, was_open = SystemClock(), threading.Event(), False
        while True:
            try:
                request = self._request("GET", ("events",))
                if after is not None:
                    request.add_header("Last-Event-ID", str(after))
                with self._open(request) as answer:
                    was_open = True
                    for change in _changes(answer):
                        after = change.id
                        yield change
                problem = "the service has ended it"
            except AlertsUnavailable as error:
                if not was_open:
                    raise
                problem = str(error)
            on_cut(problem if after is not None else f"{problem}; what changes meanwhile may be missing")
            clock.wait(never, _AGAIN)

    def _call(
        self,
        method: str,
        path: Sequence[str],
        query: str = "",
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> AlertsAnswer:
        request = self._request(method, path, query)
        for name, value in (headers or {}).items():
            request.add_header(name.replace("_", "-"), value)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        with self._open(request) as answer:
            return AlertsAnswer(_json(answer.read(_MOST_BYTES)), answer.headers.get("ETag"))

    def _request(self, method: str, path: Sequence[str], query: str = "") -> urllib.request.Request:
        where = "/".join((self._base, *(quote(part, safe="") for part in path)))
        request = urllib.request.Request(where + query, method=method)
        request.add_header("Authorization", f"Bearer {self._token}")
        return request

    @contextmanager
    def _open(self, request: urllib.request.Request) -> Iterator[Any]:
        """Yield the answer; whatever fails, also while it is read, raises one of our two errors."""
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                yield answer
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error.code, error.read(_MOST_BYTES)) from error
        except (OSError, HTTPException, ValueError) as error:
            raise AlertsUnavailable(f"the alerts at {self._base} do not answer: {error}") from error


class _StayHere(urllib.request.HTTPRedirectHandler):
    @override
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing: the token is for the address that was configured."""


def open_client(url: str, token: str | None, timeout: timedelta = timedelta(seconds=30)) -> AlertsClient:
    """Return a client; raises InvalidConfiguration when there is no token, or it would be sent in clear."""
    if token is None:
        raise InvalidConfiguration(
            "STEADYLINE_ALERTS_TOKEN, or STEADYLINE_ALERTS_TOKEN_FILE, must hold a token of the alerts' API"
        )
    if url.startswith("http://") and not is_loopback(urlsplit(url).hostname or ""):
        raise InvalidConfiguration(
            "STEADYLINE_ALERTS_TOKEN would go over the network in clear: write https:// into "
            "STEADYLINE_ALERTS_URL"
        )
    return AlertsClient(url, token, timeout)


def _changes(answer: Any) -> Iterator[StreamedChange]:
    """Yield the events of a stream up to its end; raises ValueError for one that is none of ours."""
    number, data = 0, ""
    while line := answer.readline(_MOST_LINE):
        name, _, value = line.decode("utf-8").rstrip("\r\n").partition(": ")
        if name == "id":
            number = int(value)
        elif name == "data":
            data = value
        elif not name and data:
            yield StreamedChange(number, json.loads(data))
            data = ""


def _json(data: bytes) -> Any:
    return json.loads(data) if data else None


def _refusal(status: int, data: bytes) -> SteadylineError:
    try:
        told = _json(data)
        reason, title = str(told["reason"]), str(told["title"])
    except (ValueError, KeyError, TypeError):
        return AlertsUnavailable(f"the address answers {status} with something that is none of the alerts'")
    lines = [f"{title} ({reason})" + (f": {told['detail']}" if told.get("detail") else "")]
    lines += [f"{one['where']}: {one['problem']}" for one in told.get("errors", ())]
    return AlertsUnavailable(*lines) if status >= 500 or status == 429 else AlertsRefused(*lines)
