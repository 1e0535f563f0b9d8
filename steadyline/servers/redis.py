"""Redis as the bank needs it: no eviction, a memory limit, loopback only, nothing on disk."""

import shutil
import socket
from pathlib import Path

from steadyline.servers.ports import KeptPorts
from steadyline.servers.process import Launch, ServerFailed

MEMORY = "512mb"


class RedisFiles:
    """The files of one server, whose port is chosen once per home."""

    def __init__(self, home: Path) -> None:
        self._home = home / "redis"
        self.ports = KeptPorts(self._home / "port", 1)

    @property
    def url(self) -> str:
        """The address that clients use."""
        return f"redis://127.0.0.1:{self.ports.numbers[0]}/0"

    def launch(self) -> Launch:
        """Return how to start the server."""
        program = shutil.which("redis-server")
        if program is None:
            raise ServerFailed("redis-server is not installed: `make init` brings it or says how")
        options = {
            "port": str(self.ports.numbers[0]),
            "bind": "127.0.0.1",
            "protected-mode": "yes",
            "dir": str(self._home),
            "save": "",
            "appendonly": "no",
            "maxmemory": MEMORY,
            # An evicted entry would be a hole in a live bank, so writes are refused instead.
            "maxmemory-policy": "noeviction",
        }
        command = [program]
        for name, value in options.items():
            command += [f"--{name}", value]
        return Launch("redis", command, self._home, self.ports.numbers, self._answers, ready_seconds=60.0)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.ports.numbers[0]), 1) as connection:
                connection.settimeout(2)
                connection.sendall(b"PING\r\n")
                return connection.recv(7) == b"+PONG\r\n"
        except OSError:
            return False
