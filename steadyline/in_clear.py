"""What must not leave this machine on a connection that is not encrypted: the one refusal of every edge."""

from collections.abc import Iterable
from dataclasses import dataclass

from steadyline.address import is_loopback


@dataclass(frozen=True, slots=True)
class ClearSecret:
    """What would go over the network, how it is encrypted, and which setting allows it all the same.

    The three are parts of one sentence: ``what`` names the variable, ``encrypt`` is an order, ``allow`` the
    setting with the value that it needs.
    """

    what: str
    encrypt: str
    allow: str

    def refuse(self, hosts: Iterable[str]) -> None:
        """Raise ValueError unless every host is this machine: its loopback, or a socket in a folder."""
        if not all(is_here(host) for host in hosts):
            raise ValueError(
                f"{self.what} would go over the network in clear: {self.encrypt}, or set {self.allow} where "
                "the network itself encrypts or is trusted"
            )


def is_here(host: str) -> bool:
    """Tell whether what is sent to a host leaves no machine; a path is a socket of this one."""
    return host.startswith(("/", "@")) or is_loopback(host)
