"""What a proxy in front of the API says of who asks: believed of those alone that the settings name."""

import ipaddress
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import Scope

from steadyline.address import is_loopback

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The networks of the proxies (an Ingress, a load balancer) that end TLS in front of the API."""

    networks: tuple[Network, ...] = ()

    @staticmethod
    def read(text: str) -> "TrustedProxies":
        """Return what a comma-separated list names; raises ValueError."""
        words = (word.strip() for word in text.split(","))
        return TrustedProxies(tuple(ipaddress.ip_network(word) for word in words if word))

    def introduce(self, scope: Scope, headers: Headers) -> None:
        """Put into the scope of a request who has sent it to the outermost trusted proxy, and how.

        Proxies append to ``X-Forwarded-For``, so it is read from its end: what stands before the first
        address that is no proxy's was written by a stranger. ``X-Forwarded-Proto`` counts when every word of
        it is https.
        """
        client = scope.get("client")
        if not client or not self._has(client[0]):
            return
        host = client[0]
        for word in reversed(",".join(headers.getlist("x-forwarded-for")).split(",")):
            if not self._has(host) or not _is_address(word.strip()):
                break
            host = word.strip()
        scope["client"] = (host, client[1] if host == client[0] else 0)
        words = {word.strip().lower() for word in ",".join(headers.getlist("x-forwarded-proto")).split(",")}
        if words == {"https"}:
            scope["scheme"] = "https"

    def refuses(self, scope: Scope, headers: Headers) -> bool:
        """Tell whether a token came in clear although there is a proxy that would have encrypted its way.

        Without a proxy in the settings nothing is refused: the API listens on loopback by default. What came
        through a proxy is not of this machine, whatever address its sender has written for himself.
        """
        if not self.networks or "authorization" not in headers or scope["scheme"] == "https":
            return False
        client = scope.get("client")
        is_local = client is not None and is_loopback(client[0]) and "x-forwarded-for" not in headers
        return not is_local

    def _has(self, host: str) -> bool:
        if not _is_address(host):
            return False
        address = ipaddress.ip_address(host)
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any((mapped or address) in network for network in self.networks)


NOBODY = TrustedProxies()


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
