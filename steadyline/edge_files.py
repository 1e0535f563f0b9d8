"""Certificates and keys as files: whether they can be used at all, before anything is connected."""

import ssl
from pathlib import Path


def check_authorities(path: Path, name: str) -> None:
    """Raise ValueError unless the file has certificates, as PEM; ``name`` is the variable that names it."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        raise ValueError(f"{name} names a file without a certificate of an authority, as PEM") from None
    except OSError as error:
        raise ValueError(f"{name} cannot be read: {error.strerror}") from None


def check_key_pair(certificate: Path, key: Path, password: str | None, prefix: str) -> None:
    """Raise ValueError unless the two files are a certificate and its key, as PEM.

    ``prefix`` is what the names of the variables begin with, as ``KAFKA_SSL``.
    """
    names = f"{prefix}_CERTIFICATE_LOCATION", f"{prefix}_KEY_LOCATION"
    for path, name in zip((certificate, key), names, strict=True):
        try:
            path.read_bytes()
        except OSError as error:
            raise ValueError(f"{name} cannot be read: {error.strerror}") from None
    try:
        # Without any password OpenSSL would ask for one on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, lambda: password or "")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ValueError(f"the key of {names[1]} is not that of the certificate of {names[0]}") from None
        raise ValueError(
            f"{names[0]} and {names[1]} cannot be used: a certificate and its key, as PEM, are needed, and "
            f"{prefix}_KEY_PASSWORD when the key is encrypted"
        ) from None
