"""The causes of alerts about Triton, Redis, the store and certificates, made for real."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bench.watching.cause import Cause, named
from bench.watching.frozen import freezing
from bench.watching.line import ObservedLine

STARTED, ENDS = timedelta(days=90), timedelta(days=1)


@contextmanager
def _no_store(line: ObservedLine) -> Iterator[None]:
    """Put a file in the place of the folder of evidence."""
    folder = line.store / "evidence"
    away = folder.with_suffix(".away")
    folder.rename(away)
    folder.write_text("no folder", encoding="utf-8")
    try:
        yield
    finally:
        folder.unlink()
        away.rename(folder)


@contextmanager
def _certificate_that_ends(line: ObservedLine) -> Iterator[None]:
    """Let the alerts start with an authority for deliveries whose certificate ends within a day."""
    file = line.home / "authority.pem"
    _write_certificate(file)
    line.restart("alerts", ALERTS_CA_FILE=str(file))
    try:
        yield
    finally:
        line.restart("alerts")
        line.until_ready("alerts")


def _write_certificate(file: Path) -> None:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority that ends")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - STARTED).not_valid_after(now + ENDS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    certificate = builder.sign(key, hashes.SHA256())
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


SERVER_CAUSES = (
    Cause(
        "SIGSTOP of Triton",
        freezing("triton"),
        named("TritonAway", "NoScores", "NoScorerReady", "NotReady", "CanaryWrong", "WatchFailing", "Lag"),
        afterwards=named("ScoresLate", "ScoresLateForLong"),
    ),
    Cause("SIGSTOP of Redis", freezing("redis"), named("RedisAway", "NobodyTrains")),
    Cause("a file in the place of the store's folder", _no_store, named("StoreAway")),
    Cause(
        "the alerts are started with a certificate that ends in a day",
        _certificate_that_ends,
        named("CertificateEnds", "CertificateEndsSoon"),
    ),
)
