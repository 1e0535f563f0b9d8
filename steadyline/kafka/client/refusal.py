"""Why Kafka does not let a client in, and what to do: its library only retries until its time is over."""

import ssl
from collections.abc import Iterator, Mapping
from typing import Any

from kafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)

_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21})  # OpenSSL's numbers for a chain that ends nowhere
_ENDED = 10
_OTHER_HOST = frozenset({62, 64})
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
_MOST_TOLD = 300  # characters of what a broker says


class EdgeRefused(SaslAuthenticationFailedError):
    """Kafka, or the issuer of its tokens, does not let this client in; no repetition mends that.

    Its one argument says who refuses what, and what to do.
    """


class IssuerUnavailable(KafkaConnectionError):
    """The issuer of tokens does not answer; its one argument says so, and what to do."""


def refusal_of(error: BaseException, options: Mapping[str, Any]) -> EdgeRefused | IssuerUnavailable | None:
    """Return what a failed connection means for a client with these options; None when it may pass."""
    for cause in _causes(error):
        if isinstance(cause, EdgeRefused | IssuerUnavailable):
            return cause
        told = _told(cause, options)
        if told:
            return EdgeRefused(told)
    return None


def last_words(error: BaseException) -> str:
    """Return what a failed connection says of itself, for a message about the whole attempt."""
    return next((str(cause) for cause in _causes(error) if cause.args), type(error).__name__)[:_MOST_TOLD]


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it came from, also where it was only handed on as an argument."""
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        item = waiting.pop(0)
        if isinstance(item, BaseException) and not any(item is other for other in seen):
            seen.append(item)
            yield item
            waiting += [*item.args, item.__cause__, item.__context__]


def _told(error: BaseException, options: Mapping[str, Any]) -> str:
    if isinstance(error, UnsupportedSaslMechanismError | IllegalSaslStateError):
        return (
            f"the broker does not take {options['sasl_mechanism']} on this listener: check "
            "KAFKA_SASL_MECHANISM and the port in KAFKA_BOOTSTRAP_SERVERS"
        )
    if isinstance(error, SaslAuthenticationFailedError):
        return _of_sasl(error, str(options["sasl_mechanism"]))
    if isinstance(error, ssl.SSLCertVerificationError):
        return _of_certificate(error)
    if isinstance(error, ssl.SSLError):
        return _of_tls(str(error.reason or error), bool(options.get("ssl_certfile")))
    return ""


def _of_sasl(error: BaseException, mechanism: str) -> str:
    said = str(error.args[0] if error.args else error)[:_MOST_TOLD]
    mend = {
        "OAUTHBEARER": "check the scope and the audience of the tokens (KAFKA_OAUTH_SCOPE), and the clocks",
        "AWS_MSK_IAM": "check KAFKA_AWS_REGION and the policy of the role, and the clocks",
    }.get(mechanism, "check KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM")
    what = "token" if mechanism == "OAUTHBEARER" else "user"
    return f"the broker refuses the {what} by {mechanism} ({said}): {mend}"


def _of_certificate(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code == _ENDED:
        return "the certificate of the broker has expired: renew it there; if it is new, check this clock"
    if error.verify_code in _OTHER_HOST:
        return (
            f"the certificate of the broker is not for this address ({error.verify_message}): name the "
            "broker in KAFKA_BOOTSTRAP_SERVERS, and in its advertised.listeners, as its certificate does"
        )
    if error.verify_code in _UNKNOWN_AUTHORITY:
        return (
            "the certificate of the broker is signed by no authority that is trusted here: set "
            "KAFKA_SSL_CA_LOCATION to the authority of the broker"
        )
    return f"the certificate of the broker is not accepted: {error.verify_message}"


def _of_tls(reason: str, has_certificate: bool) -> str:
    if reason in _NO_TLS:
        return (
            "the listener does not speak TLS: check KAFKA_SECURITY_PROTOCOL and the port in "
            "KAFKA_BOOTSTRAP_SERVERS"
        )
    if "ALERT" not in reason:
        return ""
    word = reason.partition("ALERT_")[2].replace("_", " ").lower()
    if has_certificate:
        return (
            f"the broker refuses this client's certificate ({word}): check that it has not expired and that "
            "the broker trusts its authority (KAFKA_SSL_CERTIFICATE_LOCATION)"
        )
    return (
        f"the broker refuses a client without a certificate ({word}): set KAFKA_SSL_CERTIFICATE_LOCATION and "
        "KAFKA_SSL_KEY_LOCATION"
    )
