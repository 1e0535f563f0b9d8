"""A real PostgreSQL for the tests: a child process in a folder of its own, on a free port of loopback."""

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import LiteralString
from urllib.parse import urlencode

import psycopg
import pytest
from typing_extensions import override

from steadyline.servers.ports import KeptPorts
from steadyline.servers.process import Launch, ServerProcess
from tests.support.certificates import CertificateAuthority

MakeDatabase = Callable[[], str]
USER = "alerts"
QUICK = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=32MB"]


def program(name: str) -> str | None:
    """Return the path of a program of PostgreSQL, the newest; None when it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(found[-1]) if found else shutil.which(name)


def require_postgres() -> None:
    """Skip loudly on a laptop that lacks PostgreSQL; fail in CI."""
    if program("postgres") is not None and program("initdb") is not None:
        return
    if os.environ.get("CI"):
        pytest.fail("PostgreSQL missing in CI: `make init` must bring it")
    pytest.skip("PostgreSQL missing: run `make init`")


class TestedPostgres:
    """One server; as root it runs as somebody else, for it refuses to run as root."""

    def __init__(self, home: Path) -> None:
        self._home, self._data = home, home / "data"
        self.port = KeptPorts(home / "port", 1).numbers[0]
        options = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        options += [word for setting in QUICK for word in ("-c", setting)]
        command = [*_as_somebody(), str(program("postgres")), "-D", str(self._data), "-p", str(self.port)]
        launch = Launch("postgres", [*command, *options, *self._more()], home, [self.port], self._answers)
        self._process = ServerProcess(launch, home)

    def start(self) -> None:
        """Make the cluster and start the server."""
        self._data.mkdir()
        if os.geteuid() == 0:
            somebody = _somebody()
            self._home.chmod(0o711)
            os.chown(self._data, somebody.pw_uid, somebody.pw_gid)
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        made = [*_as_somebody(), str(program("initdb")), "-D", str(self._data), "-U", USER, *options]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL, cwd=self._data)
        self._prepare(self._data)
        self._process.start()

    def _more(self) -> list[str]:
        """Return further options of the server."""
        return []

    def _prepare(self, data: Path) -> None:
        """Do what must be done between the cluster's making and the server's start."""

    def stop(self) -> None:
        """End the server."""
        self._process.stop()

    def make_database(self) -> str:
        """Return the address of a database that is new and empty."""
        name = f"t{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self._address(name).replace("postgresql:", "postgresql+psycopg:", 1)

    def _address(self, database: str) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: LiteralString) -> None:
        """Run one statement as the owner of everything."""
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._address("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


class LockedPostgres(TestedPostgres):
    """A PostgreSQL whose users come encrypted: ``plant`` by a password, ``known`` by a certificate.

    The owner of everything, whom the tests are, comes as he likes, and so does ``guest``, once there is one.
    """

    PASSWORD = "marked-password-of-postgres"

    def __init__(self, home: Path, authority: CertificateAuthority) -> None:
        self._authority = authority
        super().__init__(home)

    @override
    def _more(self) -> list[str]:
        return ["-c", "ssl=on", "-c", "ssl_ca_file=ca.pem"]

    @override
    def _prepare(self, data: Path) -> None:
        self.show_new_certificate()
        rules = [
            f"host all {USER},guest 127.0.0.1/32 trust",
            "hostssl all plant 127.0.0.1/32 scram-sha-256",
            "hostssl all known 127.0.0.1/32 cert",
        ]
        (data / "pg_hba.conf").write_text("\n".join(rules) + "\n", encoding="utf-8")

    def show_new_certificate(self) -> None:
        """Issue a certificate and put it in its place; a running server reads it at the next ``reload``."""
        own = self._authority.server("postgres")
        files = {"server.crt": own.certificate, "server.key": own.key, "ca.pem": self._authority.ca}
        for name, source in files.items():
            path = self._data / name
            shutil.copyfile(source, path)
            path.chmod(0o600)
            if os.geteuid() == 0:
                os.chown(path, _somebody().pw_uid, _somebody().pw_gid)

    def make_users(self) -> None:
        """Make the two users, each of whom owns a database of the same name."""
        self.execute(f"CREATE ROLE plant LOGIN PASSWORD '{self.PASSWORD}'")
        self.execute("CREATE ROLE known LOGIN")
        self.execute("CREATE DATABASE plant OWNER plant")
        self.execute("CREATE DATABASE known OWNER known")

    def reload(self, authority: CertificateAuthority) -> None:
        """Show a certificate of this authority from now on, and end every connection."""
        self._authority = authority
        self.show_new_certificate()
        self.execute("SELECT pg_reload_conf()")
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE usename IN ('plant', 'known') AND pid <> pg_backend_pid()"
        )

    def url(self, user: str, password: str = "", **options: object) -> str:
        """Return the address of a user's database, as ALERTS_DATABASE has it."""
        secret = f":{password}" if password else ""
        query = urlencode({name: str(value) for name, value in options.items()})
        return f"postgresql+psycopg://{user}{secret}@127.0.0.1:{self.port}/{user}?{query}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[MakeDatabase]:
    """A factory of empty databases on one server, which ends with the session."""
    require_postgres()
    home = Path(tempfile.mkdtemp(prefix="steadyline-postgres-"))
    server = TestedPostgres(home)
    try:
        server.start()
        yield server.make_database
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


def _somebody() -> pwd.struct_passwd:
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


def _as_somebody() -> list[str]:
    if os.geteuid() != 0:
        return []
    somebody = _somebody()
    return ["setpriv", f"--reuid={somebody.pw_uid}", f"--regid={somebody.pw_gid}", "--clear-groups", "--"]
