"""What the address of the database says of its protection: whether it is kept, and by which files."""

from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from steadyline.in_clear import ClearSecret
from steadyline.telemetry.certificates import CertificateFile

_IN_CLEAR = ClearSecret(
    "what goes to the database of ALERTS_DATABASE",
    "add ?sslmode=verify-full (and &sslrootcert=FILE), the one mode in which the server is known",
    "ALERTS_ALLOW_CLEAR_DATABASE to true",
)


def refuse_clear_database(address: str) -> None:
    """Raise ValueError when PostgreSQL on another machine is not reached by ``sslmode=verify-full``.

    libpq's other modes take a server that anybody may be, or no encryption at all, and such a server may ask
    for the password in clear. An address that cannot be read is told by whoever opens the database.
    """
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        return
    if url.get_backend_name() == "postgresql" and _values(url, "sslmode") != ["verify-full"]:
        _IN_CLEAR.refuse(_hosts(url))


def database_certificates(address: str) -> list[CertificateFile]:
    """Return the files of certificates that an address names; none when it cannot be read."""
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        return []
    own = [CertificateFile("postgresql", "certificate", Path(name)) for name in _values(url, "sslcert")]
    # libpq takes the word "system" for the authorities of the system.
    named = [name for name in _values(url, "sslrootcert") if name != "system"]
    return own + [CertificateFile("postgresql", "authority", Path(name)) for name in named]


def _hosts(url: URL) -> list[str]:
    """Return every host that libpq may connect to; without any it takes the socket of this machine.

    What a service file names is in no address, and so it counts as another machine.
    """
    named = [url.host or "", *_values(url, "host"), *_values(url, "hostaddr")]
    hosts = [host.rpartition(":")[0] if _has_port(host) else host for host in named if host]
    return hosts + [f"service {name}" for name in _values(url, "service")]


def _has_port(host: str) -> bool:
    return host.count(":") == 1 and not host.startswith("/")


def _values(url: URL, name: str) -> list[str]:
    """Return what the query gives a name, each of several comma separated words."""
    found = url.query.get(name, ())
    given = (found,) if isinstance(found, str) else found
    return [word for text in given for word in text.split(",")]
