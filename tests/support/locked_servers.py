"""Redis and Triton as a plant locks them: encrypted, each client known, few rights."""

import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from steadyline.bank.rights import rights
from steadyline.servers.process import ServerProcess
from steadyline.servers.redis import RedisFiles
from steadyline.servers.triton import TritonFiles
from tests.support.certificates import CertificateAuthority
from tests.support.servers import ROOT

ADMIN = ("keeper", "keeper-of-redis")


class LockedRedis:
    """A Redis that speaks TLS only, wants a certificate of each client, and knows no user by default.

    ``users`` are lines of an ACL file; ``ADMIN`` may do everything.
    """

    def __init__(self, home: Path, authority: CertificateAuthority, users: Sequence[str] = ()) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.authority, self._name = authority, "redis"
        files = RedisFiles(home)
        plain, own = files.launch(), authority.server(self._name)
        self.port = files.ports.numbers[0]
        acl = home / "users.acl"
        keeper = f"user {ADMIN[0]} on >{ADMIN[1]} ~* &* +@all"
        acl.write_text("\n".join(["user default off", keeper, *users]) + "\n", encoding="utf-8")
        options = {
            "--port": "0",
            "--tls-port": str(self.port),
            "--tls-cert-file": str(own.certificate),
            "--tls-key-file": str(own.key),
            "--tls-ca-cert-file": str(authority.ca),
            "--aclfile": str(acl),
        }
        command = list(plain.command)
        at = command.index("--port")
        del command[at : at + 2]
        for name, value in options.items():
            command += [name, value]
        launch = replace(plain, command=command, is_ready=lambda: _listens(self.port))
        self.process = ServerProcess(launch, home)

    def url(self, user: str = ADMIN[0], password: str = ADMIN[1]) -> str:
        """Return the address for one of its users."""
        return f"rediss://{user}:{password}@127.0.0.1:{self.port}/0"

    def environment(self, user: str, password: str) -> dict[str, str]:
        """Return the variables of a process that has a certificate, and is that user."""
        own = self.authority.client(f"redis-{user}")
        return {
            "REDIS_URL": self.url(user, password),
            "REDIS_SSL_CA_LOCATION": str(self.authority.ca),
            "REDIS_SSL_CERTIFICATE_LOCATION": str(own.certificate),
            "REDIS_SSL_KEY_LOCATION": str(own.key),
        }


class LockedTriton:
    """A Triton whose gRPC is encrypted; with ``asks`` it wants a certificate of each client."""

    def __init__(self, home: Path, authority: CertificateAuthority, asks: bool = True) -> None:
        self.authority = authority
        self.files = TritonFiles(home, ROOT / ".venv-triton")
        plain, own = self.files.launch(), authority.server("triton")
        options = [
            "--grpc-use-ssl-mutual=true" if asks else "--grpc-use-ssl=true",
            f"--grpc-server-cert={own.certificate}",
            f"--grpc-server-key={own.key}",
            f"--grpc-root-cert={authority.ca}",
        ]
        self.process = ServerProcess(replace(plain, command=[*plain.command, *options]), home)

    def environment(self) -> dict[str, str]:
        """Return the variables of a process that has a certificate and the key of the repository."""
        own = self.authority.client("triton-client")
        return {
            "TRITON_URL": self.files.grpc,
            "TRITON_SECURITY_PROTOCOL": "SSL",
            "TRITON_SSL_CA_LOCATION": str(self.authority.ca),
            "TRITON_SSL_CERTIFICATE_LOCATION": str(own.certificate),
            "TRITON_SSL_KEY_LOCATION": str(own.key),
            "TRITON_ADMIN_KEY": self.files.admin_key,
            "TRITON_REPOSITORY": str(self.files.repository),
        }


def user_of_redis(name: str, password: str, line: str, writes: bool = True) -> str:
    """Return the line of an ACL file for a user who has the rights that a line needs."""
    return f"user {name} on >{password} {rights(line, 'writer' if writes else 'reader')}"


@contextmanager
def running(server: LockedRedis | LockedTriton) -> Iterator[None]:
    """Run a server within the block."""
    server.process.start()
    try:
        yield
    finally:
        server.process.stop()


@contextmanager
def a_folder() -> Iterator[Path]:
    """Yield a folder of one's own for servers that several tests share."""
    with tempfile.TemporaryDirectory(prefix="steadyline-locked-") as name:
        yield Path(name)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
