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
from pydantic import SecretStr
from typing_extensions import override

from steadyline.errors import (
    BrokerUnavailable,
    ClockRefused,
    ContractBroken,
    LoginRefused,
    NotAllowed,
    SteadylineError,
)
from steadyline.kafka.client.msk_iam import msk_credentials
from steadyline.kafka.client.refusal import EdgeRefused, IssuerUnavailable
from steadyline.kafka.client.tokens import OAuthClient, tokens_of
from steadyline.kafka_protection import DEFAULT_MECHANISM
from steadyline.settings import KafkaSettings

BOOTSTRAP_MS = 10_000
# A protocol that does not fit is told only by closed connections; an error is to come within 6 s.
PROTECTED_BOOTSTRAP_MS = 5_000
REQUEST_MS = 10_000
# With the client's default of 30 s a line would stand still that long after the broker is back.
RECONNECT_MS = 1_000
PARTITION_FETCH_BYTES = 1 << 20  # a larger message is still fetched, alone
FETCH_BYTES = 16 << 20  # the limit of one answer: it must hold the largest message of any topic

# What a client reads of a listener that speaks another protocol.
HUNG_UP = ("socket disconnected", "EOF occurred", "Connection reset", "Invalid frame length")

_NOT_ALLOWED = (
    TopicAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TransactionalIdAuthorizationFailedError,
    ClusterAuthorizationFailedError,
)
_NOT_LET_IN = (SaslAuthenticationFailedError, UnsupportedSaslMechanismError)
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)


def client_options(settings: KafkaSettings, client: str) -> dict[str, Any]:
    """Return the options that every client is ``opened`` with."""
    is_plain = settings.security_protocol == "PLAINTEXT"
    options: dict[str, Any] = {
        "bootstrap_servers": [server.strip() for server in settings.bootstrap_servers.split(",")],
        "client_id": client,
        "security_protocol": settings.security_protocol,
        "bootstrap_timeout_ms": BOOTSTRAP_MS if is_plain else PROTECTED_BOOTSTRAP_MS,
        "reconnect_backoff_max_ms": RECONNECT_MS,
    }
    if settings.security_protocol.endswith("SSL"):
        options |= _encryption(settings)
    if settings.security_protocol.startswith("SASL"):
        options |= _identity(settings)
    return options


def _encryption(settings: KafkaSettings) -> dict[str, Any]:
    """Return paths and no certificates: the client reads them anew for each connection."""
    paths = {
        "ssl_cafile": settings.ssl_ca_location,
        "ssl_certfile": settings.ssl_certificate_location,
        "ssl_keyfile": settings.ssl_key_location,
    }
    options: dict[str, Any] = {name: str(path) for name, path in paths.items() if path is not None}
    # Without any password OpenSSL would ask for one on the terminal.
    options["ssl_password"] = _Hidden(_shown(settings.ssl_key_password))
    return options


def _identity(settings: KafkaSettings) -> dict[str, Any]:
    mechanism = settings.sasl_mechanism or DEFAULT_MECHANISM
    options: dict[str, Any] = {"sasl_mechanism": mechanism}
    if mechanism == "OAUTHBEARER":
        options["sasl_oauth_token_provider"] = tokens_of(oauth_client(settings))
    elif mechanism == "AWS_MSK_IAM":
        options["sasl_oauth_token_provider"] = msk_credentials(settings.aws_region or "")
    else:
        options["sasl_plain_username"] = settings.sasl_username
        options["sasl_plain_password"] = _Hidden(_shown(settings.sasl_password))
    return options


def oauth_client(settings: KafkaSettings) -> OAuthClient:
    """Return who asks for tokens."""
    return OAuthClient(
        settings.oauth_token_url or "",
        settings.oauth_client_id or "",
        settings.oauth_client_secret or SecretStr(""),
        settings.oauth_scope,
        settings.oauth_ca_location,
    )


class _Hidden(str):
    """A secret whose repr, which the client writes to its log of options, does not tell it."""

    __slots__ = ()

    @override
    def __repr__(self) -> str:
        return "'…'"


def _shown(secret: SecretStr | None) -> str:
    return "" if secret is None else secret.get_secret_value()


def is_refused(error: KafkaError) -> bool:
    """Return True for an error that no repetition mends: the right is missing, or a message is too large."""
    return isinstance(error, _NOT_ALLOWED + _NOT_LET_IN + _TOO_LARGE)


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
    if isinstance(error, EdgeRefused):
        return LoginRefused(f"{doing}: Kafka: {error.args[0]}")
    if isinstance(error, IssuerUnavailable):
        return BrokerUnavailable(f"{doing}: Kafka: {error.args[0]}")
    if isinstance(error, _NOT_LET_IN):
        said = error.args[0] if error.args else error
        return LoginRefused(
            f"{doing}: Kafka: the broker refuses the user ({said}): check what KAFKA_SASL_… is set to"
        )
    if isinstance(error, _NOT_ALLOWED):
        return NotAllowed(f"{doing}: Kafka: {error}; `steadyline topics acls` prints what rights it needs")
    mend = "; is Kafka up, and is KAFKA_BOOTSTRAP_SERVERS its host:port?" if "bootstrap" in str(error) else ""
    if mend and any(text in str(error) for text in HUNG_UP):
        mend = "; is KAFKA_SECURITY_PROTOCOL that of the listener at KAFKA_BOOTSTRAP_SERVERS?"
    return BrokerUnavailable(f"{doing}: {error}{mend}")


def printed_topic_id(topic_id: str) -> str:
    """Return a topic's id as Kafka's own tools print it."""
    return urlsafe_b64encode(UUID(topic_id).bytes).rstrip(b"=").decode()
