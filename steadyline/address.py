"""Addresses of servers and cameras: what may be printed of one, and whether it can be read at all.

A secret is often what keeps an address from being parsed: a password with ``/``, ``?`` or ``#``, a token in
the path. So nothing here parses an address to find its secret. What is not known to be harmless is not shown.
"""

import ipaddress
import re
from collections.abc import Collection
from urllib.parse import unquote

_LOCAL = ("file://", "memory://")
_SCHEMES = "rtsps?|https?|rediss?|unix|s3|gs|gcs|abfs|az|s?ftp|ssh|smb|webdav|kafka|grpc|tcp|udp"
_NAME = r"(?:[A-Za-z0-9_-]+\.)+[A-Za-z0-9_-]+|localhost"  # one word alone may be the user of a lost '@'
_HARMLESS = re.compile(
    rf"(?P<scheme>(?:{_SCHEMES})://)(?:[^/?#@]*@)?(?P<host>(?:{_NAME}|\[[0-9a-fA-F:.]+\])(?::\d{{1,5}})?)"
    r"(?P<more>$|[/?][^@]*)"
)
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\])(?::(\d{1,9}))?")
_WRONG_PERCENT = re.compile(r"%(?![0-9a-fA-F]{2})")
_HIGHEST_PORT = 65_535


def shown(address: str) -> str:
    """Return what may be printed of an address.

    An address of files is shown whole. Of any other the scheme is, and the host where nothing else can be in
    its place: no second ``@`` stands anywhere, and no ``/``, ``?`` or ``#`` before the first. Nothing is
    shown of an address that has no known scheme.
    """
    if address.startswith(_LOCAL):
        return address
    found = _HARMLESS.fullmatch(address)
    if found is not None:
        return f"{found['scheme']}{found['host']}{'/…' if len(found['more']) > 1 else ''}"
    scheme = re.match(rf"(?:{_SCHEMES})://", address)
    return f"{scheme[0]}…" if scheme is not None else "…"


def without_address(text: str, address: str) -> str:
    """Return what a library says, without any word of ``address`` that ``shown`` does not show."""
    if address.startswith(_LOCAL):
        return text
    harmless = {word.lower() for word in re.findall(r"\w+", shown(address))}
    forms = (address, unquote(address))
    words = {word for form in forms for word in re.findall(r"\w{2,}", form) if word.lower() not in harmless}
    for piece in sorted({*forms, *words}, key=len, reverse=True):
        text = re.sub(re.escape(piece), "…", text, flags=re.IGNORECASE)
    return text


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine itself, so that what is sent to it leaves no machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() in ("localhost", "localhost.localdomain")


def check_address(address: str, schemes: Collection[str]) -> None:
    """Raise ValueError, which repeats nothing of the address, unless it has one meaning for every reader."""
    scheme, separator, rest = address.partition("://")
    if not separator or scheme not in schemes:
        raise ValueError(f"the address must begin with {' or '.join(f'{name}://' for name in schemes)}")
    authority, *others = re.split(r"[/?#]", rest, maxsplit=1)
    user, _, host = authority.rpartition("@")
    found = _HOST.fullmatch(host)
    if found is None or "@" in user or "@" in "".join(others) or "#" in rest or _WRONG_PERCENT.search(user):
        raise ValueError(
            "the address cannot be read: of a user, a password or a token in it the characters "
            "/ ? # @ : % must be written as %2F %3F %23 %40 %3A %25"
        )
    _check_port(found[1])


def check_host(text: str) -> None:
    """Raise ValueError, which repeats nothing of ``text``, unless it is a host, or a host and a port."""
    found = _HOST.fullmatch(text)
    if found is None:
        raise ValueError("each must be host:port, without a scheme (as kafka://), a user or a path")
    _check_port(found[1])


def _check_port(digits: str | None) -> None:
    if digits is not None and not 1 <= int(digits) <= _HIGHEST_PORT:
        raise ValueError(f"the port is not one of 1 to {_HIGHEST_PORT}")
