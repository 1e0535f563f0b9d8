"""Tokens for Kafka's OAUTHBEARER, by the client credentials of OAuth 2: kept, and renewed before they end."""

import json
import ssl
import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from kafka.net.sasl.oauth import AbstractTokenProvider
from pydantic import SecretStr
from typing_extensions import override

from steadyline.daemon_pool import DaemonPool
from steadyline.kafka.client.refusal import EdgeRefused, IssuerUnavailable
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

ANSWER_SECONDS = 3.0  # of the issuer; a client waits for its first token while its own loop stands still
BRIEF_SECONDS = 0.5  # while the last token is still good: the loop of a client has heartbeats to send
PAUSE_SECONDS = 1.0  # between two questions, when the first failed
MOST_BYTES = 64 << 10  # of an answer; a token is one to four KiB
RENEWED_AT = 0.75  # of its life: the broker asks for a new one at 0.85 to 0.95 of it
UNSTATED_SECONDS = 60  # the life of a token of which the issuer does not say it
LONGEST_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """Who asks whom for what."""

    token_url: str
    client_id: str
    client_secret: SecretStr
    scope: str | None = None
    authorities: Path | None = None


@dataclass(frozen=True, slots=True)
class HeldToken:
    """A token and its times, in monotonic seconds."""

    text: str
    renew_at: float
    ends_at: float


class ClientCredentials(AbstractTokenProvider):
    """Gives every connection of this process its token; safe from any thread.

    A token is given at once, and near its end the next one is asked for. An issuer that is away then is not
    felt before the last token has ended.
    """

    def __init__(self, client: OAuthClient) -> None:
        super().__init__()
        self._client = client
        self._lock = threading.Lock()
        self._held: HeldToken | None = None
        self._asking: Future[HeldToken] | None = None
        self._asked_at = 0.0
        self._pool = DaemonPool(1, "kafka-token")

    @override
    def token(self) -> str:
        """Return a token; raises EdgeRefused or IssuerUnavailable, and both within ANSWER_SECONDS."""
        with self._lock:
            now, held = time.monotonic(), self._held
            if held is not None and now < held.renew_at:
                return held.text
            asking = self._ask(now)
        is_good = held is not None and now < held.ends_at
        try:
            return asking.result(BRIEF_SECONDS if is_good else ANSWER_SECONDS).text
        except (FutureTimeout, EdgeRefused, IssuerUnavailable) as error:
            if held is not None and is_good:
                return held.text
            if isinstance(error, EdgeRefused | IssuerUnavailable):
                raise
            raise _unavailable(f"no answer within {ANSWER_SECONDS:g} s") from None

    def _ask(self, now: float) -> "Future[HeldToken]":
        """Return the question that is under way, or has just failed, or a new one."""
        asking, age = self._asking, now - self._asked_at
        if asking is not None and age < (PAUSE_SECONDS if asking.done() else 2 * ANSWER_SECONDS):
            return asking
        if asking is not None and not asking.done():
            self._pool.shutdown(wait=False)  # its thread hangs, and ends when the issuer's connection does
            self._pool = DaemonPool(1, "kafka-token")
        self._asked_at = now
        self._asking = self._pool.submit(self._renew)
        return self._asking

    def _renew(self) -> HeldToken:
        try:
            token = fetch_token(self._client)
        except (EdgeRefused, IssuerUnavailable) as error:
            if self._held is not None:
                log.warning("kafka_token_not_renewed", error=str(error.args[0]))
            raise
        with self._lock:
            self._held = token
        return token


@lru_cache(maxsize=8)
def tokens_of(client: OAuthClient) -> ClientCredentials:
    """Return the one provider of a client: its connections share their token."""
    return ClientCredentials(client)


def fetch_token(client: OAuthClient) -> HeldToken:
    """Ask the issuer for a token; raises EdgeRefused, or IssuerUnavailable when it is away."""
    asked_at = time.monotonic()
    try:
        with _opener(client).open(_request(client), timeout=ANSWER_SECONDS) as answer:
            body = _read(answer, asked_at + ANSWER_SECONDS)
    except urllib.error.HTTPError as error:
        with error:
            raise _refused(error, asked_at) from None
    except (OSError, HTTPException, ValueError) as error:
        raise _of_connection(error) from error
    try:
        found = json.loads(body)
        text, life = str(found["access_token"]), float(found.get("expires_in", UNSTATED_SECONDS))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise EdgeRefused(
            "the issuer's answer has no access_token: check that KAFKA_OAUTH_TOKEN_URL is its token endpoint"
        ) from None
    if not (text.isascii() and text.isprintable() and text) or not life > 0:
        raise EdgeRefused("the issuer's token cannot be sent, or has ended already: look at the issuer")
    life = min(life, LONGEST_SECONDS)
    return HeldToken(text, asked_at + RENEWED_AT * life, asked_at + life)


def _request(client: OAuthClient) -> urllib.request.Request:
    fields = {"grant_type": "client_credentials"} | ({"scope": client.scope} if client.scope else {})
    user, secret = quote(client.client_id, safe=""), quote(client.client_secret.get_secret_value(), safe="")
    headers = {
        "Authorization": f"Basic {b64encode(f'{user}:{secret}'.encode()).decode()}",
        "Accept": "application/json",
    }
    return urllib.request.Request(client.token_url, urlencode(fields).encode(), headers)


class _StayThere(urllib.request.HTTPRedirectHandler):
    @override
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Go nowhere else with the secret."""


def _opener(client: OAuthClient) -> urllib.request.OpenerDirector:
    """Return what asks; the authorities are read anew each time, so that they may be rotated.

    In clear it asks on loopback only, and no proxy of the environment gets to see the secret.
    """
    if not client.token_url.startswith("https://"):
        return urllib.request.build_opener(_StayThere(), urllib.request.ProxyHandler({}))
    context = ssl.create_default_context(cafile=client.authorities)
    return urllib.request.build_opener(_StayThere(), urllib.request.HTTPSHandler(context=context))


def _read(answer: Any, end: float) -> bytes:
    """Return what an issuer says, within the limits of bytes and time."""
    body = bytearray()
    while part := answer.read1(MOST_BYTES):
        body += part
        if len(body) > MOST_BYTES:
            raise ValueError(f"an answer of more than {MOST_BYTES} bytes")
        if time.monotonic() > end:
            raise TimeoutError(f"no whole answer within {ANSWER_SECONDS:g} s")
    return bytes(body)


def _refused(error: urllib.error.HTTPError, asked_at: float) -> EdgeRefused | IssuerUnavailable:
    """Return what an answer other than 200 means."""
    if error.code >= 500 or error.code in (408, 429):
        return _unavailable(f"it answers {error.code}")
    try:
        word = json.loads(_read(error, asked_at + ANSWER_SECONDS))["error"]
    except (OSError, HTTPException, ValueError, TypeError, KeyError, RecursionError):
        word = ""
    if word == "invalid_scope":
        return EdgeRefused("the issuer of tokens does not give this scope: check KAFKA_OAUTH_SCOPE")
    if error.code in (400, 401, 403):
        told = word if isinstance(word, str) and word.replace("_", "").isalpha() else str(error.code)
        return EdgeRefused(
            f"the issuer of tokens refuses the client ({told[:40]}): check KAFKA_OAUTH_CLIENT_ID and "
            "KAFKA_OAUTH_CLIENT_SECRET"
        )
    return EdgeRefused(
        f"the issuer of tokens answers {error.code}: check that KAFKA_OAUTH_TOKEN_URL is its token endpoint"
    )


def _of_connection(error: Exception) -> EdgeRefused | IssuerUnavailable:
    """Return what it means that no answer came."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return EdgeRefused(
            f"the certificate of the issuer of tokens is not accepted ({cause.verify_message}): set "
            "KAFKA_OAUTH_CA_LOCATION to its authority"
        )
    return _unavailable(str(cause) or type(cause).__name__)


def _unavailable(told: str) -> IssuerUnavailable:
    return IssuerUnavailable(
        f"the issuer of tokens cannot be reached ({told[:200]}): is it up, and is "
        "KAFKA_OAUTH_TOKEN_URL right?"
    )
