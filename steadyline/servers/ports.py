"""Free ports on loopback, kept per home so that clients find a restarted server again."""

import random
import socket
from pathlib import Path

# Below the kernel's own range for outgoing connections (32768 and up). While a server is down no client's
# connection takes its port, and a client that retries cannot end up connected to itself.
FIRST, LAST = 15_000, 32_767


def is_free(port: int) -> bool:
    """Tell whether nothing listens on the port right now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # ignore closed connections
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_ports(count: int) -> list[int]:
    """Return ``count`` different ports that nothing listens on right now."""
    found: list[int] = []
    for port in random.SystemRandom().sample(range(FIRST, LAST + 1), LAST + 1 - FIRST):
        if is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise OSError(f"no {count} free ports between {FIRST} and {LAST} on 127.0.0.1")


class KeptPorts:
    """``count`` ports, chosen on first use and written to ``file``."""

    def __init__(self, file: Path, count: int) -> None:
        self._file, self._count = file, count

    @property
    def numbers(self) -> list[int]:
        """The ports, the same ones each time."""
        if not self._file.exists():
            self.choose()
        return [int(word) for word in self._file.read_text(encoding="utf-8").split()]

    def choose(self) -> None:
        """Choose new ports."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(" ".join(map(str, free_ports(self._count))), encoding="utf-8")

    def choose_if_taken(self) -> bool:
        """Choose new ports when another process listens on one of them; return True when that was so."""
        if all(is_free(port) for port in self.numbers):
            return False
        self.choose()
        return True
