"""Which addresses deliveries may go to, decided on the address that is connected to.

A subscription's address is what somebody typed; without a guard it would be a way into the network of the
plant and to the metadata of a cloud. A name is resolved once, each address it leads to is checked, and the
connection goes to a checked address, never to the name: an answer of the DNS that changes between check and
connection changes nothing.
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from alerts.deliveries.failure import AddressRefused, EndpointUnreachable
from steadyline.errors import InvalidConfiguration

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Sequence[str]]

# What "private" stands for in a setting: this machine and the networks of a plant. Link-local addresses,
# where clouds keep their metadata, are not among them; a network can be allowed by its own name.
PRIVATE_NETWORKS: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
)
# IPv6 addresses that lead to an IPv4 address, which may be any: mapped, compatible, translated (NAT64), 6to4,
# Teredo. None of them is ever needed to name an endpoint.
_DISGUISES: tuple[IPv6Network, ...] = tuple(
    IPv6Network(text)
    for text in (
        "::ffff:0:0/96",
        "::ffff:0:0:0/96",
        "::/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/32",
        "2002::/16",
    )
)
_NEVER: tuple[Network, ...] = tuple(
    ip_network(text) for text in ("0.0.0.0/8", "240.0.0.0/4", "192.0.0.0/24", "100.64.0.0/10", "fec0::/10")
)


@dataclass(frozen=True, slots=True)
class EgressRules:
    """Beside addresses of the internet, those of ``allowed`` may be delivered to."""

    allowed: tuple[Network, ...] = ()

    @staticmethod
    def of(allow_private: bool, networks: Sequence[str] = ()) -> "EgressRules":
        """Return the rules of two settings; raises InvalidConfiguration when a network is none."""
        try:
            named = tuple(ip_network(text) for text in networks)
        except ValueError as error:
            raise InvalidConfiguration(f"a network that deliveries may go to: {error}") from error
        return EgressRules((PRIVATE_NETWORKS if allow_private else ()) + named)

    def check(self, text: str) -> None:
        """Raise AddressRefused unless an IP address may be delivered to."""
        address = ip_address(text)
        if isinstance(address, IPv6Address) and address.scope_id is not None:
            raise AddressRefused(f"{text} is an address of one link")
        if any(address in network for network in self.allowed if network.version == address.version):
            return
        if not _is_of_the_internet(address):
            raise AddressRefused(f"{text} is no address of the internet, and no setting allows it")


def _is_of_the_internet(address: Address) -> bool:
    closed = (*_NEVER, *_DISGUISES)
    return (
        address.is_global
        and not (address.is_multicast or address.is_reserved or address.is_unspecified)
        and not any(address in network for network in closed if network.version == address.version)
    )


class EgressGuard:
    """Turns a name into the addresses that may be connected to."""

    def __init__(self, rules: EgressRules, resolve: Resolve | None = None) -> None:
        self._rules, self._resolve = rules, resolve or resolve_by_system

    def addresses(self, host: str, port: int) -> list[str]:
        """Return the IP addresses of ``host`` that may be connected to, at least one.

        Raises AddressRefused when there are only others, and EndpointUnreachable when there is none at all.
        """
        found = self._resolve(host.rstrip("."), port)
        if not found:
            raise EndpointUnreachable(f"{host} has no address")
        permitted, refusals = [], []
        for text in found:
            try:
                self._rules.check(text)
            except AddressRefused as error:
                refusals.append(error)
            else:
                permitted.append(text)
        if not permitted:
            raise AddressRefused(f"{host}: {refusals[0]}")
        return permitted

    def check(self, host: str, port: int) -> None:
        """Raise AddressRefused unless ``host`` leads to nothing but addresses that may be connected to.

        For whoever connects by the name itself. It resolves once more, so an answer of the DNS that changes
        in between is not seen here: use ``addresses`` wherever the connection is ours to make.
        """
        found = self._resolve(host.rstrip("."), port)
        if not found:
            raise EndpointUnreachable(f"{host} has no address")
        for text in found:
            try:
                self._rules.check(text)
            except AddressRefused as error:
                raise AddressRefused(f"{host}: {error}") from None


def resolve_by_system(host: str, port: int) -> list[str]:
    """Return the addresses that the system's resolver has; raises EndpointUnreachable when it has none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise EndpointUnreachable(f"{host} is not known: {error}") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
