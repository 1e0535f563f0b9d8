"""Around every request: its id, the limit on its address and body, the headers of security, the count."""

import math
import re
import uuid
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alerts.api.dependencies import ApiDependencies, ApiLimits
from alerts.api.ports import AnsweredRequest
from alerts.api.problem import Refusal, answer_problem
from alerts.api.rate import address_key

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

# Answers are data, never pages: nothing in them may be run, framed, guessed at or kept by a proxy.
SECURITY_HEADERS: Mapping[str, str] = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class BodyTooLarge(HTTPException):
    """More came than the limit, whatever the length was said to be."""

    def __init__(self) -> None:
        super().__init__(413)


class RequestGuard:
    """The outermost of what we put around the routes."""

    def __init__(self, app: ASGIApp, api: ApiDependencies, limits: ApiLimits) -> None:
        self._app, self._api, self._limits = app, api, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        state = scope.setdefault("state", {})
        state["request_id"] = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        began = self._api.clock.monotonic()
        self._api.settings.proxies.introduce(scope, headers)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                dress(MutableHeaders(scope=message), state["request_id"], scope["scheme"])
                self._count(scope, message["status"], began)
            await send(message)

        refusal = self._refusal(scope, headers)
        if refusal is None:
            await self._app(scope, self._limited(receive), answer)
        else:
            await answer_problem(HTTPConnection(scope), refusal)(scope, receive, answer)

    def _refusal(self, scope: Scope, headers: Headers) -> Refusal | None:
        seconds = self._limits.per_address.take(client_key(scope))
        if seconds > 0:
            return Refusal("too_many_requests", Retry_After=str(math.ceil(seconds)))
        if self._api.settings.proxies.refuses(scope, headers):
            return Refusal("token_in_clear", "revoke the token, and ask at the https:// address")
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            return Refusal("malformed_request", "the Content-Length is no number")
        if len(length) > 18 or int(length) > self._api.settings.most_body_bytes:
            return Refusal("body_too_large", f"at most {self._api.settings.most_body_bytes} bytes")
        return None

    def _limited(self, receive: Receive) -> Receive:
        left = self._api.settings.most_body_bytes

        async def limited() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise BodyTooLarge
            return message

        return limited

    def _count(self, scope: Scope, status: int, began: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        reason = scope["state"].get("reason", "ok")
        seconds = self._api.clock.monotonic() - began
        self._api.meter(AnsweredRequest(str(scope["method"]), route, status, reason, seconds))


def client_key(scope: Scope) -> str:
    """Return what counts as the address of a request; only a trusted proxy has a say in it."""
    client = scope.get("client")
    return address_key(client[0] if client else "")


def dress(headers: MutableHeaders, request_id: str, scheme: str) -> None:
    """Add what every answer has; a route's own Cache-Control stays."""
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    if scheme == "https":  # over http:// a browser must pay no regard to it
        headers.setdefault("strict-transport-security", "max-age=31536000")
    headers["x-request-id"] = request_id
