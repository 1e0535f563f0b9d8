"""Turns our settings into options of kafka-python, and its errors into ours."""

from base64 import urlsafe_b64encode
from typing import Any
from uuid import UUID

from kafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    InvalidTimestampError,
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
    ClockRefused,
    ContractBroken,
    Fatal,
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
        "bootstrap_servers": [server.strip() for server in settings.bootstrap_servers.split(",")],
        "client_id": client,
        "security_protocol": settings.security_protocol,
        "bootstrap_timeout_ms": BOOTSTRAP_MS,
        "reconnect_backoff_max_ms": RECONNECT_MS,
    }
    if settings.ssl_ca_location is not None:
        options["ssl_cafile"] = str(settings.ssl_ca_location)
    if settings.security_protocol.startswith("SASL"):
        assert settings.sasl_password is not None, "checked by the settings"
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
    """Return our error for one of kafka-python's, whose text begins with its name.

    A refusal is fatal, any other error passes with time.
    """
    if is_too_large(error):
        return ContractBroken(f"{doing}: {error}; compare the limits: `steadyline topics check`")
    if isinstance(error, UnsupportedCodecError):
        return ContractBroken(
            f"{doing}: {error}; the topic must have compression.type=uncompressed: `steadyline topics check`"
        )
    if isinstance(error, InvalidTimestampError):
        return ClockRefused(
            f"{doing}: the broker refuses the time of this machine's clock: synchronise the clocks "
            "(chrony or systemd-timesyncd); `steadyline doctor` compares them"
        )
    if is_refused(error):
        return Fatal(
            f"{doing}: {error}; check user, password and rights: `steadyline topics acls` prints those needed"
        )
    mend = "; is Kafka up, and is KAFKA_BOOTSTRAP_SERVERS its host:port?" if "bootstrap" in str(error) else ""
    return BrokerUnavailable(f"{doing}: {error}{mend}")


def printed_topic_id(topic_id: str) -> str:
    """Return a topic's id as Kafka's own tools print it."""
    return urlsafe_b64encode(UUID(topic_id).bytes).rstrip(b"=").decode()
