"""When the certificates end that a process reads from files: measured anew, for files are rotated."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from cryptography import x509

from steadyline.settings import Settings
from steadyline.telemetry.logs import get_logger
from steadyline.telemetry.metrics import CERTIFICATE_ENDS, CERTIFICATE_STARTS, CertificateEdge

log = get_logger(__name__)

CertificateRole = Literal["authority", "certificate"]

LOOK_SECONDS = 60.0

# The variables that name certificates, of the settings that services share → whose they are, and what for.
VARIABLES: Mapping[str, tuple[CertificateEdge, CertificateRole]] = {
    "KAFKA_SSL_CA_LOCATION": ("kafka", "authority"),
    "KAFKA_SSL_CERTIFICATE_LOCATION": ("kafka", "certificate"),
    "KAFKA_OAUTH_CA_LOCATION": ("kafka_issuer", "authority"),
    "REDIS_SSL_CA_LOCATION": ("redis", "authority"),
    "REDIS_SSL_CERTIFICATE_LOCATION": ("redis", "certificate"),
    "TRITON_SSL_CA_LOCATION": ("triton", "authority"),
    "TRITON_SSL_CERTIFICATE_LOCATION": ("triton", "certificate"),
    "OTEL_EXPORTER_OTLP_CERTIFICATE": ("otlp", "authority"),
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": ("otlp", "certificate"),
}


class CertificateUnreadable(ValueError):
    """A file holds no certificate that can be read; the message says why and names the file."""


@dataclass(frozen=True, slots=True)
class CertificateFile:
    """A file of PEM certificates: those that this process shows, or those of authorities that it believes."""

    edge: CertificateEdge
    role: CertificateRole
    path: Path

    def life(self, now: datetime) -> "CertificateLife":
        """Return the life of the certificate that decides; raises CertificateUnreadable.

        A chain that is shown ends with its first certificate to end. Of authorities that is the first that
        has not ended before ``now``: one that has ended may lie beside its successor. When all have, it is
        the last of them.
        """
        try:
            found = x509.load_pem_x509_certificates(self.path.read_bytes())
        except (OSError, ValueError) as error:
            raise CertificateUnreadable(f"{self.path} cannot be read as certificates: {error}") from error
        lives = [CertificateLife(one.not_valid_before_utc, one.not_valid_after_utc) for one in found]
        lives.sort(key=lambda life: life.ends)
        if self.role == "certificate":
            return lives[0]
        return next((life for life in lives if life.ends > now), lives[-1])


@dataclass(frozen=True, slots=True)
class CertificateLife:
    """From when to when a certificate is valid, in UTC."""

    starts: datetime
    ends: datetime


def certificate_files(*settings: Settings) -> list[CertificateFile]:
    """Return the files that these settings name; those of a setting that is not set are left out."""
    found = []
    for one in settings:
        prefix = str(one.model_config.get("env_prefix", ""))
        for name, value in one:
            known = VARIABLES.get(f"{prefix}{name}".upper())
            if known is not None and value is not None:
                found.append(CertificateFile(*known, Path(value)))
    return found


@contextmanager
def watched_certificates(files: Iterable[CertificateFile]) -> Iterator[None]:
    """Measure the life of each file's certificates at once, and once a minute within the block.

    A file that cannot be read keeps its last measure, and is logged once until it can be read again: the edge
    itself says what it makes of it.
    """
    ended, watched = threading.Event(), tuple(files)
    unreadable: set[CertificateFile] = set()

    def watch() -> None:
        while True:
            for file in watched:
                _measure(file, unreadable)
            if ended.wait(LOOK_SECONDS):
                return

    thread = threading.Thread(target=watch, name="certificates", daemon=True)
    if watched:
        thread.start()
    try:
        yield
    finally:
        ended.set()


def _measure(file: CertificateFile, unreadable: set[CertificateFile]) -> None:
    try:
        life = file.life(datetime.now(UTC))
    except CertificateUnreadable as error:
        if file not in unreadable:
            log.warning("certificate_unreadable", edge=file.edge, role=file.role, error=str(error))
        unreadable.add(file)
        return
    unreadable.discard(file)
    CERTIFICATE_STARTS.set(life.starts.timestamp(), edge=file.edge, role=file.role)
    CERTIFICATE_ENDS.set(life.ends.timestamp(), edge=file.edge, role=file.role)
