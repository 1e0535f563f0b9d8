"""How Triton is reached: its address, whom to believe, who one is, and what a refusal of the edge means."""

import re
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

from steadyline.errors import InvalidConfiguration
from steadyline.settings import TritonSettings

_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})", re.ASCII)

_ASKS = "Triton asks for a certificate: set TRITON_SSL_CERTIFICATE_LOCATION and TRITON_SSL_KEY_LOCATION"

# What gRPC or Triton says → what to do.
_HINTS = (
    (
        "CERTIFICATE_VERIFY_FAILED",
        "TRITON_SSL_CA_LOCATION must name the authority that signed Triton's certificate, and TRITON_URL the "
        "host that the certificate is for",
    ),
    (
        "WRONG_VERSION_NUMBER",
        "this port is not encrypted: start Triton with --grpc-use-ssl, or set TRITON_SECURITY_PROTOCOL to "
        "PLAINTEXT",
    ),
    ("CERTIFICATE_REQUIRED", _ASKS),
    (
        "is restricted, expecting header",
        "TRITON_ADMIN_KEY is not the key that Triton was started with",
    ),
)

Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class TritonIdentity:
    """The files of an encrypted connection; each may be replaced while the process runs."""

    ca: Path | None
    certificate: Path | None
    key: Path | None

    def stamp(self) -> Stamp:
        """Return what changes when one of the files does; raises OSError when one is not there."""
        found = [path.stat() for path in (self.ca, self.certificate, self.key) if path is not None]
        return tuple((state.st_ino, state.st_mtime_ns, state.st_size) for state in found)

    def credentials(self) -> grpc.ChannelCredentials:
        """Return what gRPC needs of the files; raises InvalidConfiguration when they do not fit together."""
        try:
            self._check()
            ca, certificate, key = (
                None if path is None else path.read_bytes() for path in (self.ca, self.certificate, self.key)
            )
        except ssl.SSLError as error:
            raise InvalidConfiguration(
                "TRITON_SSL_CA_LOCATION, TRITON_SSL_CERTIFICATE_LOCATION or TRITON_SSL_KEY_LOCATION holds no "
                f"PEM, or the key is not the certificate's: {error.reason or error}"
            ) from error
        except OSError as error:
            raise InvalidConfiguration(f"{error.filename}: {error.strerror}") from error
        return grpc.ssl_channel_credentials(ca, key, certificate)

    def _check(self) -> None:
        """Raise what Python says of the files: gRPC would say nothing, and fail at each connection."""
        context = ssl.create_default_context(cafile=self.ca)
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key, password="")


def identity_of(settings: TritonSettings) -> TritonIdentity | None:
    """Return the files of an encrypted connection; None for one in clear."""
    if settings.security_protocol == "PLAINTEXT":
        return None
    return TritonIdentity(
        settings.ssl_ca_location, settings.ssl_certificate_location, settings.ssl_key_location
    )


def host_and_port(url: str) -> tuple[str, int]:
    """Return what an address names; a refusal does not repeat it, for it may hold a password."""
    wanted = "write HOST:PORT of Triton's gRPC service, 127.0.0.1:8001 for example"
    if "://" in url:
        raise InvalidConfiguration(f"TRITON_URL begins with a scheme: {wanted}")
    match = _ADDRESS.fullmatch(url)
    if match is None or not 0 < int(match["port"]) < 1 << 16:
        raise InvalidConfiguration(f"TRITON_URL is no host with a port: {wanted}")
    return match["host"].strip("[]"), int(match["port"])


def speaks_http(address: tuple[str, int], within: float) -> bool:
    """Tell whether the port answers in HTTP/1, as Triton's other ports do and the one for gRPC does not."""
    try:
        with socket.create_connection(address, within) as connection:
            connection.settimeout(within)
            connection.sendall(b"GET /v2/health/live HTTP/1.0\r\n\r\n")
            return connection.recv(16).startswith(b"HTTP/1.")
    except OSError:
        return False


def hint(told: str, identity: TritonIdentity | None) -> str:
    """Return what to do about a refusal of the edge, with a separator before it; empty for any other.

    A server that ends the handshake gives gRPC no reason: what it may have wanted follows from what it had.
    """
    if "Socket closed" in told or "Connection reset" in told:
        if identity is None:
            return "; if Triton's gRPC is encrypted, set TRITON_SECURITY_PROTOCOL to SSL"
        if identity.certificate is None:
            return f"; if {_ASKS}"
        return "; Triton may not believe the authority that signed TRITON_SSL_CERTIFICATE_LOCATION"
    return next((f"; {what}" for sign, what in _HINTS if sign in told), "")
