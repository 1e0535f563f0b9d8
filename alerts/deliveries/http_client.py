"""Asks endpoints that are not trusted: guarded address, whole time and answer bounded, no redirects."""

import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpcore
from typing_extensions import override

from alerts.deliveries.egress import EgressGuard
from alerts.deliveries.failure import (
    AnswerMalformed,
    CertificateRefused,
    DeliveryFailed,
    EndpointTimedOut,
    EndpointUnreachable,
)

_KEPT_SECONDS = 5.0  # an idle connection; a new one asks the DNS again
_MOST_CONNECTIONS = 512
_MOST_IDLE = 64
_WRITTEN_AT_ONCE = 16 << 10  # the time left is looked at before each


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """How long one exchange may take, from the name to the last byte, and how much of an answer is read."""

    whole: timedelta = timedelta(seconds=10)
    connect: timedelta = timedelta(seconds=5)
    answer_bytes: int = 64 << 10  # beyond it the connection is closed
    head_bytes: int = 1 << 10  # what is kept for people to look at


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back; ``head`` is text without control characters that a database would not take."""

    status: int
    head: str
    retry_after: str | None


class HttpClient:
    """Connections to any endpoint, safe from several threads at once.

    No proxy of the environment is used: the guard could not see where it connects to.
    """

    def __init__(
        self, guard: EgressGuard, limits: HttpLimits | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self._limits = limits or HttpLimits()
        self._patience = _Patience()
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls or ssl.create_default_context(),
            max_connections=_MOST_CONNECTIONS,
            max_keepalive_connections=_MOST_IDLE,
            keepalive_expiry=_KEPT_SECONDS,
            network_backend=_GuardedBackend(guard, self._patience, self._limits.connect.total_seconds()),
        )

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        """Return the answer whatever its status; raises DeliveryFailed when there is none."""
        return self._exchange("POST", url, headers, body)

    def get(self, url: str, headers: Mapping[str, str]) -> HttpAnswer:
        """Return the answer whatever its status; raises DeliveryFailed when there is none."""
        return self._exchange("GET", url, headers, b"")

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def _exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        self._patience.end = time.monotonic() + self._limits.whole.total_seconds()
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), self._limits.whole.total_seconds())
        fields = [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
        try:
            with self._pool.stream(
                method, url, headers=fields, content=body, extensions={"timeout": timeouts}
            ) as response:
                return self._read(response)
        except DeliveryFailed:
            raise
        except httpcore.TimeoutException as error:
            raise EndpointTimedOut(f"no answer within {self._limits.whole.total_seconds():g} s") from error
        except httpcore.ProtocolError as error:
            raise AnswerMalformed(f"no HTTP: {error}") from error
        except httpcore.ConnectError as error:
            if _is_of_tls(error):
                raise CertificateRefused(f"TLS: {error}") from error
            raise EndpointUnreachable(f"no connection: {error}") from error
        except (httpcore.NetworkError, OSError, ValueError) as error:  # ValueError: no name that TLS takes
            raise EndpointUnreachable(f"the connection broke: {error}") from error

    def _read(self, response: httpcore.Response) -> HttpAnswer:
        head, seen = b"", 0
        for chunk in response.iter_stream():
            seen += len(chunk)
            head += chunk[: self._limits.head_bytes - len(head)]
            if seen > self._limits.answer_bytes:
                break
        retry_after = next(
            (value for name, value in response.headers if name.lower() == b"retry-after"), None
        )
        return HttpAnswer(
            response.status,
            head.decode("utf-8", "replace").replace("\0", "\ufffd"),
            None if retry_after is None else retry_after.decode("latin-1"),
        )


def _is_of_tls(error: BaseException) -> bool:
    cause = error.__cause__ or error.__context__
    return isinstance(cause, ssl.SSLError)


class _Patience(threading.local):
    """When the exchange of this thread must be over, by the monotonic clock."""

    end: float = 0.0

    def bound(self, seconds: float | None) -> float:
        left = max(0.001, self.end - time.monotonic())  # 0 would mean: do not block
        return left if seconds is None else min(seconds, left)

    def is_over(self) -> bool:
        return time.monotonic() >= self.end


class _GuardedBackend(httpcore.NetworkBackend):
    """Connects to addresses that the guard has permitted, never to a name."""

    def __init__(self, guard: EgressGuard, patience: _Patience, connect_seconds: float) -> None:
        self._guard, self._patience, self._connect_seconds = guard, patience, connect_seconds
        self._plain = httpcore.SyncBackend()

    @override
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectTimeout("no time left")
        for address in self._guard.addresses(host, port):
            if self._patience.is_over():
                break
            seconds = self._patience.bound(self._connect_seconds)
            try:
                stream = self._plain.connect_tcp(address, port, seconds, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _BoundedStream(stream, self._patience)
        raise failure


class _BoundedStream(httpcore.NetworkStream):
    """Ends when the exchange has lasted too long, however often a byte arrives."""

    def __init__(self, stream: httpcore.NetworkStream, patience: _Patience) -> None:
        self._stream, self._patience = stream, patience

    @override
    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._patience.is_over():
            raise httpcore.ReadTimeout("no time left")
        return self._stream.read(max_bytes, self._patience.bound(timeout))

    @override
    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for begin in range(0, len(buffer), _WRITTEN_AT_ONCE):
            if self._patience.is_over():
                raise httpcore.WriteTimeout("no time left")
            piece = buffer[begin : begin + _WRITTEN_AT_ONCE]
            self._stream.write(piece, self._patience.bound(timeout))

    @override
    def close(self) -> None:
        self._stream.close()

    @override
    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        bound = self._patience.bound(timeout)
        return _BoundedStream(self._stream.start_tls(ssl_context, server_hostname, bound), self._patience)

    @override
    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
