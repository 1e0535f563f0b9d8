"""Bearer tokens of an OpenID Connect issuer: who has them is decided by its keys, which may change."""

import json
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, build_opener

import jwt
from typing_extensions import override

from alerts.api.problem import Refusal
from alerts.database.token_store import ROLES, Role
from steadyline.clock import Clock
from steadyline.errors import InvalidConfiguration

# Asymmetric ones alone: with a symmetric one whoever reads the public key could sign.
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_LEEWAY_SECONDS = 30  # between the issuer's clock and ours
_MOST_BYTES = 1 << 20
_MOST_NAME = 200


@dataclass(frozen=True, slots=True)
class OidcIssuer:
    """Whom to believe. ``scopes`` maps a word of the claim ``scope`` (or ``scp``) to a role."""

    issuer: str
    audience: str
    scopes: Mapping[str, Role] = field(default_factory=lambda: {f"steadyline:{role}": role for role in ROLES})
    timeout: timedelta = timedelta(seconds=5)
    keys_for: timedelta = timedelta(minutes=15)  # a key that the issuer took back is believed this long
    between_looks: timedelta = timedelta(seconds=10)  # a stranger makes us ask the issuer this often at most
    # Which authorities may have signed its certificate.
    trust: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    def __post_init__(self) -> None:
        _check_address(self.issuer)


@dataclass(frozen=True, slots=True)
class OidcBearer:
    """Who has a token of the issuer."""

    name: str
    role: Role
    subject: str


class OidcVerifier:
    """Verifies tokens; safe from any thread. The keys are asked for when they are first needed."""

    def __init__(self, issuer: OidcIssuer, clock: Clock) -> None:
        self._issuer, self._clock = issuer, clock
        self._keys = _IssuerKeys(issuer, clock)

    def verify(self, token: str) -> OidcBearer:
        """Return the bearer; raises Refusal with the reason for which the token lets nobody in."""
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError as error:
            raise Refusal("unknown_token") from error
        if header.get("alg") not in _ALGORITHMS:
            raise Refusal("wrong_signature")
        key = self._keys.find(header.get("kid"), str(header["alg"]))
        claims = self._claims(token, key, str(header["alg"]))
        role = self._role(claims)
        return OidcBearer(_name(claims), role, str(claims["sub"]))

    def _claims(self, token: str, key: jwt.PyJWK, algorithm: str) -> dict[str, Any]:
        # The times are held against our own clock below.
        options: Any = {"require": ["exp", "iss", "aud", "sub"], "verify_exp": False}
        options |= {"verify_nbf": False, "verify_iat": False}
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                options=options,
                audience=self._issuer.audience,
                issuer=self._issuer.issuer,
            )
        except jwt.InvalidAudienceError as error:
            raise Refusal("wrong_audience") from error
        except jwt.InvalidIssuerError as error:
            raise Refusal("wrong_issuer") from error
        except jwt.MissingRequiredClaimError as error:
            raise Refusal("malformed_token") from error
        except jwt.InvalidSignatureError as error:
            raise Refusal("wrong_signature") from error
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Refusal("malformed_token") from error
        self._check_times(claims)
        return claims

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = self._clock.now().timestamp()
        expires, begins = _number(claims.get("exp")), _number(claims.get("nbf", 0))
        if expires is None or begins is None:
            raise Refusal("malformed_token")
        if now >= expires + _LEEWAY_SECONDS or now < begins - _LEEWAY_SECONDS:
            raise Refusal("expired_token")

    def _role(self, claims: Mapping[str, Any]) -> Role:
        said = claims.get("scope", claims.get("scp", ""))
        words = said.split() if isinstance(said, str) else said if isinstance(said, list) else []
        known = self._issuer.scopes
        roles = [known[word] for word in words if isinstance(word, str) and word in known]
        if not roles:
            raise Refusal("wrong_scope", f"one of {', '.join(self._issuer.scopes)} is needed")
        return max(roles, key=ROLES.index)


class _IssuerKeys:
    """The public keys of an issuer, asked for now and then, and for a key that is unknown."""

    def __init__(self, issuer: OidcIssuer, clock: Clock) -> None:
        self._issuer, self._clock = issuer, clock
        self._opener = build_opener(_NoRedirect(), HTTPSHandler(context=issuer.trust))
        self._lock = threading.Lock()  # one at a time asks; the others wait for its answer
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._asked: float | None = None

    def find(self, key_id: object, algorithm: str) -> jwt.PyJWK:
        """Return the key for a token; raises Refusal when the issuer has none of that id and algorithm."""
        with self._lock:
            name = key_id if isinstance(key_id, str) else None
            age = self._age()
            if (
                age is None
                or age > self._issuer.keys_for.total_seconds()
                or (name not in self._keys and age > self._issuer.between_looks.total_seconds())
            ):
                self._ask()
            key = self._keys.get(name)
        if key is None or key.algorithm_name != algorithm:
            raise Refusal("wrong_signature")
        return key

    def _age(self) -> float | None:
        return None if self._asked is None else self._clock.monotonic() - self._asked

    def _ask(self) -> None:
        found = self._read_json(f"{self._issuer.issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self._issuer.issuer or not isinstance(found.get("jwks_uri"), str):
            raise Refusal("issuer_unavailable", "the issuer describes itself as another one")
        rows = self._read_json(found["jwks_uri"]).get("keys")
        keys = [_key(row) for row in rows] if isinstance(rows, list) else []
        self._keys = {key.key_id: key for key in keys if key is not None}
        self._asked = self._clock.monotonic()

    def _read_json(self, address: str) -> dict[str, Any]:
        try:
            _check_address(address)
            with self._opener.open(address, timeout=self._issuer.timeout.total_seconds()) as answer:
                found = json.loads(answer.read(_MOST_BYTES))
        except (OSError, HTTPException, ValueError, InvalidConfiguration) as error:
            raise Refusal("issuer_unavailable") from error
        if not isinstance(found, dict):
            raise Refusal("issuer_unavailable")
        return found


def _key(row: object) -> jwt.PyJWK | None:
    """Return a key that may verify signatures; None for any other."""
    if (
        not isinstance(row, dict)
        or row.get("use", "sig") != "sig"
        or row.get("kty") not in ("RSA", "EC", "OKP")
    ):
        return None
    try:
        return jwt.PyJWK.from_dict(row)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None


class _NoRedirect(HTTPRedirectHandler):
    @override
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Go nowhere else: the keys are those of the address that was configured."""


def _check_address(address: str) -> None:
    parts = urlsplit(address)
    is_own = parts.hostname in ("127.0.0.1", "::1", "localhost")
    if not parts.hostname or parts.scheme not in (("https", "http") if is_own else ("https",)):
        raise InvalidConfiguration("the OIDC issuer and its keys must be at https:// addresses")


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _name(claims: Mapping[str, Any]) -> str:
    """Return what the audit calls them; an address that nobody has verified could be anybody's."""
    name = claims.get("email") if claims.get("email_verified") is True else None
    name = name or claims["sub"]
    text = "".join(letter for letter in str(name) if letter.isprintable())[:_MOST_NAME]
    if not text:
        raise Refusal("malformed_token")
    return text
