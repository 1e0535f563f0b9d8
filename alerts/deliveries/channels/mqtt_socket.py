"""The socket of a connection to a broker: to an address that was checked, with TLS by the broker's name."""

import select
import socket
import ssl
import time

from alerts.deliveries.egress import EgressGuard


def connect_socket(
    guard: EgressGuard, place: tuple[str, int], tls: ssl.SSLContext | None, end: float
) -> socket.socket:
    """Return a connection to a host and a port, all of it until ``end`` of the monotonic clock.

    Raises OSError, of which TimeoutError and ssl.SSLError are kinds, and what the guard raises.
    """
    host, port = place
    failure: OSError = TimeoutError("no time left")
    for address in guard.addresses(host, port):
        left = end - time.monotonic()
        if left <= 0:
            break
        try:
            connected = socket.create_connection((address, port), left)
        except OSError as error:
            failure = error
        else:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connected if tls is None else _protect(connected, host, tls, end)
    raise failure


def _protect(connected: socket.socket, host: str, tls: ssl.SSLContext, end: float) -> socket.socket:
    """Return the connection with TLS on it; all of it until ``end``."""
    try:
        connected.setblocking(False)
        protected = tls.wrap_socket(connected, server_hostname=host, do_handshake_on_connect=False)
    except BaseException:
        connected.close()
        raise
    try:
        _shake_hands(protected, end)
    except BaseException:
        protected.close()
        raise
    return protected


def _shake_hands(protected: ssl.SSLSocket, end: float) -> None:
    while True:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError("no time left for TLS")
        try:
            protected.do_handshake()
        except ssl.SSLWantReadError:
            _wait(protected, select.POLLIN, left)
        except ssl.SSLWantWriteError:
            _wait(protected, select.POLLOUT, left)
        else:
            return


def _wait(protected: ssl.SSLSocket, event: int, seconds: float) -> None:
    waiting = select.poll()
    waiting.register(protected, event)
    waiting.poll(seconds * 1000)
