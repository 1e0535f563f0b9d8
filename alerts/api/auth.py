"""Who asks, and whether they may: an API token or a token of the plant's own issuer, and a role."""

import math
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from alerts.api.dependencies import Api, ApiDependencies, Limits
from alerts.api.guard import client_key
from alerts.api.problem import Refusal
from alerts.database.token_store import PREFIX, ROLES, Role

_CHALLENGE = 'Bearer realm="steadyline"'
_MOST_CHARACTERS = 8_192  # of a token; an issuer's is one or two thousand

bearer = HTTPBearer(auto_error=False, description="An API token, or a token of the configured OIDC issuer.")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks; ``key`` is the same for each request with the same token."""

    name: str
    role: Role
    key: str

    def may(self, role: Role) -> bool:
        """Tell whether this one may do what needs ``role``."""
        return ROLES.index(self.role) >= ROLES.index(role)


def identify(api: ApiDependencies, secret: str) -> Principal:
    """Return who has the token; raises Refusal."""
    if len(secret) > _MOST_CHARACTERS:
        raise Refusal("unknown_token")
    if api.oidc is not None and not secret.startswith(PREFIX):
        claims = api.oidc.verify(secret)
        return Principal(claims.name, claims.role, f"oidc:{claims.subject}"[:200])
    with api.database.read() as session:
        token = api.stores.tokens.find_by_secret(session, secret)
    if token is None:
        raise Refusal("unknown_token")
    if token.revoked_at is not None:
        raise Refusal("revoked_token")
    if token.expires_at <= api.clock.now():
        raise Refusal("expired_token")
    return Principal(token.name, token.role, f"token:{token.id}")


def secret_of(request: Request) -> str:
    """Return the bearer token of a request, for a stream that looks at it again later."""
    return request.headers.get("authorization", "").partition(" ")[2].strip()


def _principal(request: Request, credentials: Credentials, api: Api, limits: Limits) -> Principal:
    if credentials is None:
        raise Refusal("no_token", WWW_Authenticate=_CHALLENGE)
    try:
        principal = identify(api, credentials.credentials)
    except Refusal as refusal:
        if refusal.status == 401:
            _slow_down(limits.failures.take(client_key(request.scope)))
            refusal.headers["WWW-Authenticate"] = f'{_CHALLENGE}, error="invalid_token"'
        raise
    _slow_down(limits.per_token.take(principal.key))
    return principal


def _slow_down(seconds: float) -> None:
    if seconds > 0:
        raise Refusal("too_many_requests", Retry_After=str(math.ceil(seconds)))


@dataclass(frozen=True, slots=True)
class NeededRole:
    """The dependency of a route that needs a role; the document of the API names it."""

    role: Role

    def __call__(self, principal: Annotated[Principal, Depends(_principal)]) -> Principal:
        """Return who asks; raises Refusal."""
        if not principal.may(self.role):
            raise Refusal("role_too_low", f"this needs the role {self.role}, the token has {principal.role}")
        return principal


Viewer = Annotated[Principal, Depends(NeededRole("viewer"))]
Operator = Annotated[Principal, Depends(NeededRole("operator"))]
Engineer = Annotated[Principal, Depends(NeededRole("engineer"))]
Admin = Annotated[Principal, Depends(NeededRole("admin"))]
