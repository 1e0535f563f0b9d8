"""The rules of incidents: those in force, those that were, and what others would have made of it all."""

import asyncio
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field

from alerts.api.auth import Engineer, Viewer
from alerts.api.dependencies import Api, ApiDependencies
from alerts.api.page import ListPage, ListQuery, Moment, page_of, time_and_id
from alerts.api.problem import Refusal
from alerts.database.rule_version_store import KeptRules, RuleVersion
from alerts.simulation.reading import TopicSpan
from alerts.simulation.simulator import SimulatedRules, SimulationBusy
from steadyline.line import Line
from steadyline.rule_set import RuleSet, WrongRules

router = APIRouter(prefix="/rules", tags=["rules"])

RuleDigest = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="Version of the rules.")]


class RulesInForce(BaseModel):
    """The rules by which this process opens and closes incidents, as the line file may have them."""

    version: str = Field(description="SHA-256 of what they say: the same rules have the same one.")
    alerts: dict[str, Any] = Field(description="The section `alerts` of the line file, no default left out.")
    products: dict[str, Any] = Field(description="Product → its rules, as the line file has them.")


class SimulateBody(BaseModel):
    """Which rules, and over which span of the topics."""

    model_config = ConfigDict(extra="forbid")

    since: Moment = Field(description="Messages that the topics have since then, by the broker's clock.")
    until: Moment | None = Field(None, description="Messages before then; by default up to now.")
    rules: dict[str, Any] = Field(
        description="The sections `alerts` and `products.NAME.alerts` as the line file has them; what they "
        "do not name stays as it is in force."
    )


@router.get("")
def show_rules(_: Viewer, api: Api) -> RulesInForce:
    """Show the rules in force, with all that the line file leaves to a default."""
    rules = RuleSet.of(api.line)
    return RulesInForce(version=rules.version, **rules.written())


@router.get("/versions")
def list_rule_versions(query: Annotated[ListQuery, Query()], _: Viewer, api: Api) -> ListPage[RuleVersion]:
    """List the versions of the rules that processes have started with, the newest first."""
    with api.database.read() as session:
        found = api.stores.rule_versions.page(session, time_and_id(query.cursor), query.limit + 1)
    kept, following = page_of(found, query.limit, lambda one: (one.first_at.isoformat(), one.version))
    return ListPage(items=kept, next=following)


@router.get("/versions/{digest}")
def show_rule_version(digest: RuleDigest, _: Viewer, api: Api) -> KeptRules:
    """Show one version of the rules."""
    with api.database.read() as session:
        found = api.stores.rule_versions.find(session, digest)
    if found is None:
        raise Refusal("no_such_rules")
    return found


@router.post("/simulate")
async def simulate_rules(body: SimulateBody, _: Engineer, api: Api) -> SimulatedRules:
    """Tell what other rules would have made of the topics, and in what that differs from those in force.

    Both begin with an empty memory at `since`, and nothing that people did is replayed. How much is read is
    bounded (`topics` says how far it came), and one simulation runs at a time: another is answered by 409.
    """
    if body.until is not None and body.until <= body.since:
        raise Refusal("invalid_request", "until is not after since")
    proposed = proposed_line(api, body.rules)
    try:
        future = api.simulator.compare_rules(proposed, TopicSpan(body.since, body.until))
    except SimulationBusy as error:
        raise busy() from error
    return await asyncio.wrap_future(future)


def proposed_line(api: ApiDependencies, rules: dict[str, Any]) -> Line:
    """Return the line with the proposed rules; raises RequestValidationError that names each field."""
    try:
        return RuleSet.of(api.line).proposed(rules).on(api.line)
    except WrongRules as error:
        problems = [
            {"loc": ("body", "rules", *place), "msg": problem, "type": "value_error"}
            for place, problem in error.problems
        ]
        raise RequestValidationError(problems) from error


def busy() -> Refusal:
    """Return the refusal of a second simulation."""
    again = timedelta(seconds=10)
    return Refusal("simulation_running", Retry_After=f"{again.total_seconds():.0f}")
