"""Every error of the API as a problem of RFC 9457, with a fixed reason word."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field
from starlette.requests import HTTPConnection
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"

# reason word → status and title. The word is at once the end of the problem's type, its metric and its log
# field. What is refused with a word of its own kind (an act that does not fit) is in none of these rows.
PROBLEMS: Mapping[str, tuple[int, str]] = {
    "invalid_request": (422, "The request does not fit its description"),
    "malformed_request": (400, "The request cannot be read"),
    "invalid_cursor": (422, "The cursor is none of this list"),
    "unknown_camera": (422, "The line has no such camera"),
    "unknown_product": (422, "The line has no such product"),
    "unknown_subscription": (422, "A step names a subscription that there is not"),
    "key_reused": (422, "The Idempotency-Key belongs to another request"),
    "no_token": (401, "No bearer token was given"),
    "unknown_token": (401, "The token is none of ours"),
    "expired_token": (401, "The token has expired"),
    "revoked_token": (401, "The token was revoked"),
    "wrong_signature": (401, "The token was not signed by the issuer"),
    "wrong_issuer": (401, "The token is of another issuer"),
    "wrong_audience": (401, "The token is for another audience"),
    "malformed_token": (401, "The token lacks a claim, or cannot be read"),
    "wrong_scope": (403, "The token has no scope of this API"),
    "role_too_low": (403, "The role of the token may not do this"),
    "token_in_clear": (403, "The token came over a connection that is not encrypted"),
    "not_found": (404, "There is nothing here"),
    "no_such_incident": (404, "There is no such incident"),
    "no_such_subscription": (404, "There is no such subscription"),
    "no_such_chain": (404, "There is no such escalation chain"),
    "no_such_delivery": (404, "There is no such delivery"),
    "no_such_token": (404, "There is no such token"),
    "no_such_window": (404, "There is no such window"),
    "no_such_rules": (404, "There is no such version of the rules"),
    "no_such_frame": (404, "There is no score of such a frame"),
    "no_evidence": (404, "There is no such evidence"),
    "method_not_allowed": (405, "The method does not belong here"),
    "repeated_meanwhile": (409, "The same request is being answered"),
    "window_not_in_force": (409, "The window is not in force"),
    "window_not_settled": (409, "The window still has something to tell"),
    "too_many_windows": (409, "There are as many windows as there may be"),
    "no_such_product": (404, "The line has no such product"),
    "no_such_camera": (404, "The line has no such camera"),
    "no_models": (404, "No model of the product is known yet"),
    "no_such_order": (404, "There is no such order"),
    "no_such_letter": (404, "There is no such dead letter, or not any more"),
    "replay_refused": (409, "The letter is not to be replayed"),
    "conflict": (409, "It cannot be done as things stand"),
    "simulation_running": (409, "Another simulation is running"),
    "changed_meanwhile": (412, "It has changed since it was read"),
    "body_too_large": (413, "The body is too large"),
    "range_not_satisfiable": (416, "The range lies outside"),
    "unsupported_media_type": (415, "The body is of another type"),
    "precondition_required": (428, "An If-Match is needed"),
    "too_many_requests": (429, "Too many requests"),
    "too_many_streams": (429, "Too many streams are open"),
    "bug": (500, "Something went wrong here"),
    "unavailable": (503, "Something that is needed is away"),
    "issuer_unavailable": (503, "The issuer of tokens does not answer"),
}


class FieldProblem(BaseModel):
    """One field of a request that does not fit; what was sent is not repeated."""

    where: str = Field(description="Place of the field: body, query, path or header, then its name.")
    problem: str = Field(description="What is wrong with it.")


class Problem(BaseModel):
    """An error as RFC 9457 has it."""

    type: str = Field(description="urn:steadyline:problem: and the reason word.")
    title: str = Field(description="What this kind of problem is, for people.")
    status: int = Field(description="Status of the answer.")
    detail: str | None = Field(None, description="What it is this time.")
    instance: str | None = Field(None, description="Path of the request.")
    reason: str = Field(description="One fixed word, for programs.")
    request_id: str = Field(description="Id of the request, as in the header X-Request-Id and in our logs.")
    errors: list[FieldProblem] | None = Field(None, description="The fields that do not fit.")


class Refusal(Exception):
    """Ends a request with a problem; ``reason`` is a key of PROBLEMS."""

    def __init__(self, reason: str, detail: str | None = None, **headers: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail
        self.status, self.title = PROBLEMS[reason]
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def because(self, reason: str) -> "Refusal":
        """Give it the word of whoever refused, in place of the general one."""
        self.reason = reason
        return self


def answer_problem(
    connection: HTTPConnection, refusal: Refusal, errors: Sequence[FieldProblem] = ()
) -> Response:
    """Return the answer that tells a problem, and note its reason for whoever counts the request."""
    state = connection.scope.setdefault("state", {})
    state["reason"] = refusal.reason
    told = Problem(
        type=f"urn:steadyline:problem:{refusal.reason}",
        title=refusal.title,
        status=refusal.status,
        detail=refusal.detail,
        instance=connection.url.path,
        reason=refusal.reason,
        request_id=state.get("request_id", ""),
        errors=list(errors) or None,
    )
    text = told.model_dump_json(exclude_none=True)
    return Response(text, refusal.status, refusal.headers, MEDIA_TYPE)


def openapi_responses() -> dict[int | str, dict[str, Any]]:
    """Return what every route says of its errors in the OpenAPI document."""
    reference = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {"default": {"description": "A problem, by RFC 9457.", "content": {MEDIA_TYPE: reference}}}
