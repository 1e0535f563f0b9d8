"""A PostgreSQL of the bench: a new cluster in a folder of its own, on a free port of loopback."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from steadyline.errors import InvalidConfiguration
from steadyline.servers.ports import KeptPorts
from steadyline.servers.process import Launch, ServerProcess

USER = "alerts"


@contextmanager
def postgres() -> Iterator[str]:
    """Yield the address of an empty database; it syncs as a plant's would."""
    home = Path(tempfile.mkdtemp(prefix="steadyline-bench-"))
    port = KeptPorts(home / "port", 1).numbers[0]
    data, address = home / "data", f"postgresql://{USER}@127.0.0.1:{port}/postgres"
    data.mkdir()
    if os.geteuid() == 0:
        home.chmod(0o711)
        os.chown(data, _somebody().pw_uid, _somebody().pw_gid)
    made = [*_as_somebody(), _program("initdb"), "-D", str(data), "-U", USER, "--auth=trust", "--locale=C"]
    subprocess.run([*made, "--encoding=UTF8"], check=True, stdout=subprocess.DEVNULL, cwd=data)
    options = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
    command = [*_as_somebody(), _program("postgres"), "-D", str(data), "-p", str(port), *options]
    server = ServerProcess(Launch("postgres", command, home, [port], lambda: _answers(address)), home)
    try:
        server.start()
        yield address.replace("postgresql:", "postgresql+psycopg:", 1)
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


def _program(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    path = str(found[-1]) if found else shutil.which(name)
    if path is None:
        raise InvalidConfiguration(f"{name} of PostgreSQL is missing: `make init` brings it")
    return path


def _answers(address: str) -> bool:
    try:
        psycopg.connect(address, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _somebody() -> pwd.struct_passwd:
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


def _as_somebody() -> list[str]:
    """Return what makes root somebody else: the server refuses to run as root."""
    if os.geteuid() != 0:
        return []
    somebody = _somebody()
    return ["setpriv", f"--reuid={somebody.pw_uid}", f"--regid={somebody.pw_gid}", "--clear-groups", "--"]
