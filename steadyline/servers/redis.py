"""Redis as the bank needs it: no eviction, a memory limit, loopback only, nothing on disk."""

import shutil
import socket
from pathlib import Path

from steadyline.servers.ports import free_ports
from steadyline.servers.process import Launch, ServerFailed

MEMORY = "512mb"


class RedisFiles:
    """One server; its port is chosen once per home."""

    def __init__(self, home: Path) -> None:
        self._home = home / "redis"

    @property
    def url(self) -> str:
        """The address clients use."""
        return f"redis://127.0.0.1:{self._port()}/0"

    def launch(self) -> Launch:
        """Return how to start it."""
        program = shutil.which("redis-server")
        if program is None:
            raise ServerFailed("redis-server is not installed: `make init` says how")
        self._home.mkdir(parents=True, exist_ok=True)
        options = {
            "port": str(self._port()),
            "bind": "127.0.0.1",
            "protected-mode": "yes",
            "dir": str(self._home),
            "save": "",
            "appendonly": "no",
            "maxmemory": MEMORY,
            "maxmemory-policy": "noeviction",
        }
        command = [program]
        for name, value in options.items():
            command += [f"--{name}", value]
        return Launch("redis", command, self._answers, ready_seconds=20)

    def _port(self) -> int:
        record = self._home / "port"
        if not record.exists():
            self._home.mkdir(parents=True, exist_ok=True)
            record.write_text(str(free_ports(1)[0]), encoding="utf-8")
        return int(record.read_text(encoding="utf-8"))

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port()), 1) as connection:
                connection.settimeout(2)
                connection.sendall(b"PING\r\n")
                return connection.recv(7) == b"+PONG\r\n"
        except OSError:
            return False
