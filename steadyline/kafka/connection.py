"""Turns our settings into options of kafka-python, and its errors into ours."""

from typing import Any

from kafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    SaslAuthenticationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailedError,
    UnsupportedCodecError,
    UnsupportedSaslMechanismError,
)

from steadyline.errors import (
    BrokerUnavailable,
    ContractBroken,
    Fatal,
    InvalidConfiguration,
    SteadylineError,
)
from steadyline.settings import KafkaSettings

BOOTSTRAP_MS = 10_000
REQUEST_MS = 10_000
# With the client's default of 30 s a line would stand still that long after the broker is back.
RECONNECT_MS = 1_000
PARTITION_FETCH_BYTES = 1 << 20  # a larger message is still fetched, alone
FETCH_BYTES = 16 << 20  # the limit of one answer: it must hold the largest message of any topic

_REFUSED = (
    TopicAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TransactionalIdAuthorizationFailedError,
    ClusterAuthorizationFailedError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)


def client_options(settings: KafkaSettings, client: str) -> dict[str, Any]:
    """Return the options that every client is made with."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers.split(","),
        "client_id": client,
        "security_protocol": settings.security_protocol,
        "bootstrap_timeout_ms": BOOTSTRAP_MS,
        "reconnect_backoff_max_ms": RECONNECT_MS,
    }
    if settings.ssl_ca_location is not None:
        options["ssl_cafile"] = str(settings.ssl_ca_location)
    if settings.security_protocol.startswith("SASL"):
        if settings.sasl_username is None or settings.sasl_password is None:
            raise InvalidConfiguration("KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD are needed for SASL")
        options["sasl_mechanism"] = settings.sasl_mechanism or "SCRAM-SHA-512"
        options["sasl_plain_username"] = settings.sasl_username
        options["sasl_plain_password"] = settings.sasl_password.get_secret_value()
    return options


def is_refused(error: KafkaError) -> bool:
    """Return True for an error that no repetition mends: the right is missing, or a message is too large."""
    return isinstance(error, _REFUSED + _TOO_LARGE)


def is_too_large(error: BaseException) -> bool:
    """Return True when a message is over a limit of the client, the topic or the broker."""
    return isinstance(error, _TOO_LARGE)


def translated(error: KafkaError, doing: str) -> SteadylineError:
    """Return our error for one of kafka-python's: a refusal is fatal, any other error passes with time."""
    name = type(error).__name__
    if is_too_large(error):
        return ContractBroken(f"{doing}: {name}: {error}; compare the limits: `steadyline topics check`")
    if isinstance(error, UnsupportedCodecError):
        return ContractBroken(
            f"{doing}: {error}; the topic must have compression.type=uncompressed: `steadyline topics check`"
        )
    if is_refused(error):
        return Fatal(f"{doing}: {name}: {error}; check the user, the password and the ACLs")
    return BrokerUnavailable(f"{doing}: {name}: {error}")
