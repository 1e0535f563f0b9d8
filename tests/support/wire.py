"""Questions to servers over a plain socket, so that a test of the servers trusts no client of ours."""

import socket


def ask_redis(url: str, *words: str) -> bytes:
    """Send one command and return the raw answer."""
    host, port = url.removeprefix("redis://").split("/")[0].split(":")
    with socket.create_connection((host, int(port)), 2) as connection:
        connection.settimeout(5)
        connection.sendall(" ".join(words).encode() + b"\r\n")
        return connection.recv(4096)
