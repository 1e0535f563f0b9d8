"""Triton as the one process of a container: its identity, and the command by which it is started."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from steadyline.errors import InvalidConfiguration
from steadyline.servers.triton import CLOSED, KEY_HEADER

# Of HTTP, once gRPC is encrypted: HTTP is in clear and knows no certificates. Health stays, for probes.
CLOSED_IN_CLEAR = f"{CLOSED},inference,metadata,model-config,statistics"


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """Files by which gRPC is encrypted, as PEM; with ``client_ca`` clients must show a certificate of it."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    @classmethod
    def of(
        cls, certificate: Path | None, key: Path | None, client_ca: Path | None
    ) -> "ServerIdentity | None":
        """Return the identity, None when nothing is given; raises InvalidConfiguration when half of it is."""
        if certificate is None and key is None and client_ca is None:
            return None
        if certificate is None or key is None:
            raise InvalidConfiguration("--certificate and --key are needed together, and for --client-ca too")
        return cls(certificate, key, client_ca)

    def arguments(self) -> list[str]:
        """Return the server's arguments."""
        known = [] if self.client_ca is None else [f"--grpc-root-cert={self.client_ca}"]
        return [
            "--grpc-use-ssl=true" if self.client_ca is None else "--grpc-use-ssl-mutual=true",
            f"--grpc-server-cert={self.certificate}",
            f"--grpc-server-key={self.key}",
            *known,
        ]


@dataclass(frozen=True, slots=True)
class ContainerServer:
    """How the server is started: program, repository, address, ports (gRPC, HTTP, metrics), key.

    ``products`` are loaded at the start; the trainer loads what comes later. With an identity, gRPC is the
    only door: over HTTP only health is answered without the key.
    """

    program: Path
    repository: Path
    host: str
    ports: tuple[int, int, int]
    admin_key: str
    products: Sequence[str] = ()
    identity: ServerIdentity | None = None

    def command(self) -> list[str]:
        """Return the command. Triton takes its key as an argument only: it is seen within the container."""
        grpc, http, metrics = self.ports
        needed = f"{KEY_HEADER}={self.admin_key}"
        closed_in_clear = CLOSED if self.identity is None else CLOSED_IN_CLEAR
        return [
            str(self.program),
            f"--model-repository={self.repository}",
            "--model-control-mode=explicit",
            "--disable-auto-complete-config",
            "--exit-on-error=false",
            "--strict-readiness=false",
            f"--http-address={self.host}",
            f"--http-port={http}",
            f"--grpc-address={self.host}",
            f"--grpc-port={grpc}",
            f"--metrics-address={self.host}",
            f"--metrics-port={metrics}",
            f"--http-restricted-api={closed_in_clear}:{needed}",
            f"--grpc-restricted-protocol={CLOSED}:{needed}",
            *(self.identity.arguments() if self.identity is not None else ()),
            *(f"--load-model={product}" for product in self.products),
        ]
