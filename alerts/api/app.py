"""Makes the application: its routes, what is around them, and every error as a problem."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from alerts.api.auth import NeededRole, Viewer
from alerts.api.dependencies import ApiDependencies, ApiLimits
from alerts.api.guard import RequestGuard, dress
from alerts.api.problem import FieldProblem, Problem, Refusal, answer_problem, openapi_responses
from alerts.api.routes import (
    accounting,
    acts,
    audit,
    bank,
    cameras,
    dead_letters,
    deliveries,
    escalation_chains,
    events,
    evidence,
    feedback,
    frames,
    incidents,
    line,
    models,
    orders,
    rules,
    subscriptions,
    tokens,
    users,
    why,
    windows,
)
from alerts.api.view import BASE
from alerts.database.token_store import ROLES, Role
from alerts.incidents.acts import ActRefused
from steadyline.errors import NotAllowed, SteadylineError, Transient
from steadyline.telemetry.logs import get_logger
from steadyline.terminal import visible

log = get_logger(__name__)

ROUTES = (
    incidents,
    acts,
    evidence,
    tokens,
    subscriptions,
    deliveries,
    events,
    audit,
    feedback,
    line,
    windows,
    why,
    escalation_chains,
    rules,
    frames,
)
CONTROL = (accounting, bank, cameras, dead_letters, models, orders, users)

_BY_STATUS = {
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
}
_MOST_ERRORS = 20


def make_app(api: ApiDependencies) -> FastAPI:
    """Return the application; it opens nothing by itself and closes nothing."""
    app, limits = described_app(), ApiLimits.of(api)
    app.state.api, app.state.limits = api, limits
    app.add_middleware(RequestGuard, api=api, limits=limits)
    return app


def described_app() -> FastAPI:
    """Return the application with nothing to answer from: all that its document is made of."""
    app = FastAPI(
        title="Steadyline alerts",
        version="1",
        summary="Incidents of a line, who is told of them, and what people say of them.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        responses=openapi_responses(),
        generate_unique_id_function=_operation,
    )
    for routes in (*ROUTES, *CONTROL):
        app.include_router(routes.router, prefix=BASE)
    app.add_api_route(f"{BASE}/openapi.json", _document, include_in_schema=False)
    _tell_problems(app)
    _describe_problems(app)
    return app


def _operation(route: APIRoute) -> str:
    return route.name


def _document(request: Request, _: Viewer) -> Response:
    """Return the OpenAPI document of this API."""
    return JSONResponse(request.app.openapi())


def _tell_problems(app: FastAPI) -> None:
    @app.exception_handler(Refusal)
    async def refused(request: Request, error: Refusal) -> Response:
        return answer_problem(request, error)

    @app.exception_handler(RequestValidationError)
    async def unfit(request: Request, error: RequestValidationError) -> Response:
        fields = [
            FieldProblem(
                where=visible(".".join(str(part) for part in one["loc"]))[:200],
                problem=visible(str(one["msg"]))[:500],
            )
            for one in error.errors()[:_MOST_ERRORS]
        ]
        return answer_problem(request, Refusal("invalid_request"), fields)

    @app.exception_handler(HTTPException)
    async def by_status(request: Request, error: HTTPException) -> Response:
        refusal = Refusal(_BY_STATUS.get(error.status_code, "malformed_request"))
        refusal.headers.update(error.headers or {})
        return answer_problem(request, refusal)

    @app.exception_handler(ActRefused)
    async def does_not_fit(request: Request, error: ActRefused) -> Response:
        return answer_problem(request, Refusal("conflict", str(error)).because(error.reason))

    @app.exception_handler(SteadylineError)
    async def away(request: Request, error: SteadylineError) -> Response:
        if not isinstance(error, Transient | NotAllowed):
            raise error
        log.warning("api_unavailable", reason=error.reason, problem=str(error))
        return answer_problem(request, Refusal("unavailable", f"reason: {error.reason}", Retry_After="5"))

    @app.exception_handler(Exception)
    async def bug(request: Request, error: Exception) -> Response:
        log.error("bug", path=request.url.path, exc_info=error)
        answer = answer_problem(request, Refusal("bug"))
        # It is outside of the guard.
        dress(answer.headers, request.scope["state"].get("request_id", ""), request.url.scheme)
        return answer


def _roles() -> Iterator[tuple[tuple[str, str], Role]]:
    """Yield the path and the method of each route that is described, and the role that it needs."""
    for route in (route for routes in (*ROUTES, *CONTROL) for route in routes.router.routes):
        if isinstance(route, APIRoute) and route.include_in_schema:
            place, role = f"{BASE}{route.path_format}", _role(route.dependant)
            yield from (((place, method.lower()), role) for method in route.methods or ())


def _role(dependant: Dependant) -> Role:
    """Return the highest role that a route or what it depends on needs."""
    own = [dependant.call.role] if isinstance(dependant.call, NeededRole) else []
    return max([*own, *map(_role, dependant.dependencies), ROLES[0]], key=ROLES.index)


def _describe_problems(app: FastAPI) -> None:
    plain = app.openapi

    def described() -> dict[str, Any]:
        document = plain()
        shown = Problem.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.update(shown.pop("$defs", {}))
        schemas["Problem"] = shown
        for operation, role in _roles():
            document["paths"][operation[0]][operation[1]]["x-role"] = role
        return document

    app.openapi = described  # type: ignore[method-assign]
