"""Which settings of Kafka's edge belong together: a half-set group, or one without effect, is an error."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from steadyline.address import check_address
from steadyline.edge_files import check_authorities, check_key_pair

if TYPE_CHECKING:
    from steadyline.settings import KafkaSettings

DEFAULT_MECHANISM = "SCRAM-SHA-512"
_USER = ("sasl_username", "sasl_password")
# mechanism -> what it needs
_NEEDED: Mapping[str, Sequence[str]] = {
    "PLAIN": _USER,
    "SCRAM-SHA-256": _USER,
    "SCRAM-SHA-512": _USER,
    "OAUTHBEARER": ("oauth_token_url", "oauth_client_id", "oauth_client_secret"),
    "AWS_MSK_IAM": ("aws_region",),
}
_MAY_HAVE: Mapping[str, Sequence[str]] = {"OAUTHBEARER": ("oauth_scope", "oauth_ca_location")}
_TLS = ("ssl_ca_location", "ssl_certificate_location", "ssl_key_location", "ssl_key_password")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def check_protection(settings: "KafkaSettings") -> None:
    """Raise ValueError, which says what is missing, unless the settings can have the effect they ask for."""
    protocol = f"KAFKA_SECURITY_PROTOCOL is {settings.security_protocol}"
    _check_encryption(settings, protocol)
    identity = [name for names in (*_NEEDED.values(), *_MAY_HAVE.values()) for name in names]
    given = [name for name in dict.fromkeys(("sasl_mechanism", *identity)) if _is_set(settings, name)]
    if settings.security_protocol.startswith("SASL"):
        _check_mechanism(settings, protocol, given)
    elif given:
        raise ValueError(
            f"{_variable(given[0])} is set, but {protocol}, which knows no user: set it to SASL_SSL"
        )


def _check_encryption(settings: "KafkaSettings", protocol: str) -> None:
    given = [name for name in _TLS if _is_set(settings, name)]
    if given and not settings.security_protocol.endswith("SSL"):
        raise ValueError(f"{_variable(given[0])} is set, but {protocol}, which is not encrypted")
    certificate, key = settings.ssl_certificate_location, settings.ssl_key_location
    if (certificate is None) != (key is None):
        names = [_variable(name) for name in ("ssl_certificate_location", "ssl_key_location")]
        there, missing = names if key is None else reversed(names)
        raise ValueError(f"{there} is set, but {missing} is not: a client's certificate needs both")
    if settings.ssl_key_password is not None and key is None:
        raise ValueError("KAFKA_SSL_KEY_PASSWORD is set, but KAFKA_SSL_KEY_LOCATION is not")
    if settings.ssl_ca_location is not None:
        check_authorities(settings.ssl_ca_location, "KAFKA_SSL_CA_LOCATION")
    if certificate is not None and key is not None:
        password = settings.ssl_key_password
        check_key_pair(
            certificate, key, None if password is None else password.get_secret_value(), "KAFKA_SSL"
        )


def _check_mechanism(settings: "KafkaSettings", protocol: str, given: Sequence[str]) -> None:
    mechanism = settings.sasl_mechanism or DEFAULT_MECHANISM
    needed, optional = _NEEDED[mechanism], _MAY_HAVE.get(mechanism, ())
    for name in given:
        if name not in ("sasl_mechanism", *needed, *optional):
            owner = "OAUTHBEARER" if name.startswith("oauth") else _owner(name)
            raise ValueError(
                f"{_variable(name)} is set, but KAFKA_SASL_MECHANISM is {mechanism}, which does not use it: "
                f"set it to {owner}, or take the variable away"
            )
    missing = [_variable(name) for name in needed if not _is_set(settings, name)]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise ValueError(f"{protocol}, by {mechanism}: {' and '.join(missing)} {verb} needed too")
    if settings.security_protocol != "SASL_SSL" and not mechanism.startswith("SCRAM"):
        raise ValueError(f"{protocol}: {mechanism} would send its secret unencrypted: set it to SASL_SSL")
    if mechanism == "OAUTHBEARER":
        _check_issuer(settings)


def _check_issuer(settings: "KafkaSettings") -> None:
    address, name = settings.oauth_token_url or "", "KAFKA_OAUTH_TOKEN_URL"
    try:
        check_address(address, ("https", "http"))
        host = urlsplit(address).hostname
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if "@" in address:
        raise ValueError(
            f"{name}: no user or password belongs there: set KAFKA_OAUTH_CLIENT_ID and its secret"
        )
    is_encrypted = address.startswith("https://")
    if not is_encrypted and host not in _LOOPBACK:
        raise ValueError(f"{name}: the issuer must be at an https:// address")
    if settings.oauth_ca_location is None:
        return
    if not is_encrypted:
        raise ValueError(f"KAFKA_OAUTH_CA_LOCATION is set, but {name} is not an https:// address")
    check_authorities(settings.oauth_ca_location, "KAFKA_OAUTH_CA_LOCATION")


def _is_set(settings: "KafkaSettings", name: str) -> bool:
    """Return True for a variable that is there; an empty one is as good as none."""
    value = getattr(settings, name)
    return value is not None and bool(
        value.get_secret_value() if hasattr(value, "get_secret_value") else value
    )


def _owner(name: str) -> str:
    return "AWS_MSK_IAM" if name == "aws_region" else "SCRAM-SHA-512 or PLAIN"


def _variable(name: str) -> str:
    return f"KAFKA_{name}".upper()
