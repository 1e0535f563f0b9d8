"""A small authority that signs the certificates of servers and clients, as PEM files in one folder."""

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LOCAL = ("localhost", "127.0.0.1", "::1")
VALID = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """The files of one certificate: itself, its key, and ``both`` with key, certificate and authority.

    Kafka takes ``both`` as a key store, PostgreSQL and most others the first two.
    """

    certificate: Path
    key: Path
    both: Path


class CertificateAuthority:
    """Signs certificates and writes them below ``folder``; clients trust it by the file ``ca``.

    A name that is issued again replaces its files at once, as a rotation on disk does. ``name`` is that of
    the authority itself.
    """

    def __init__(self, folder: Path, name: str = "ca") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._name = folder, _named(f"{name} of the tests")
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.ca = folder / f"{name}.pem"
        self._certificate = (
            _dated(self._name, self._key.public_key(), is_expired=False)
            .issuer_name(self._name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(is_authority=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        _write(self.ca, self._certificate.public_bytes(serialization.Encoding.PEM), 0o644)

    def server(
        self, name: str = "server", hosts: Sequence[str] = LOCAL, is_expired: bool = False
    ) -> IssuedCertificate:
        """Return the certificate of a server at ``hosts``, names or addresses."""
        names = x509.SubjectAlternativeName([_host(host) for host in hosts])
        return self._issue(name, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), names, is_expired)

    def client(self, name: str, is_expired: bool = False, password: str | None = None) -> IssuedCertificate:
        """Return the certificate of a client whose common name is ``name``; its key may be encrypted."""
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        return self._issue(name, usage, None, is_expired, password)

    def _issue(
        self,
        name: str,
        usage: x509.ExtendedKeyUsage,
        hosts: x509.SubjectAlternativeName | None,
        is_expired: bool,
        password: str | None = None,
    ) -> IssuedCertificate:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _dated(_named(name), key.public_key(), is_expired)
            .issuer_name(self._name)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(is_authority=False), critical=True)
            .add_extension(usage, critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )
        if hosts is not None:
            builder = builder.add_extension(hosts, critical=False)
        signed = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        closed = (
            serialization.NoEncryption()
            if password is None
            else serialization.BestAvailableEncryption(password.encode())
        )
        written = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, closed)
        authority = self._certificate.public_bytes(serialization.Encoding.PEM)
        issued = IssuedCertificate(
            self._folder / f"{name}.pem", self._folder / f"{name}.key", self._folder / f"{name}-both.pem"
        )
        _write(issued.key, written, 0o600)
        _write(issued.certificate, signed, 0o644)
        _write(issued.both, written + signed + authority, 0o600)
        return issued


def _named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _dated(subject: x509.Name, key: ec.EllipticCurvePublicKey, is_expired: bool) -> x509.CertificateBuilder:
    """Return a certificate that is valid since a while, or was until a while ago."""
    end = datetime.now(UTC) + (-VALID / 24 if is_expired else VALID)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - 2 * VALID)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write(path: Path, data: bytes, mode: int) -> None:
    """Put ``data`` in the place of what was at ``path``, at once."""
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(data)
    new.chmod(mode)
    os.replace(new, path)
