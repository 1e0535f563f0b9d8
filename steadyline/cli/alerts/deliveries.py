"""``steadyline alerts deliveries``: what became of what was told."""

from typing import Annotated

import typer

from steadyline.cli.alerts.connection import AsJson, Limit, connect, new_key
from steadyline.cli.alerts.output import print_answer, print_entries, say

app = typer.Typer(help="What became of what was told.", no_args_is_help=True)

DeliveryName = Annotated[str, typer.Argument(help="Id of the delivery.")]


@app.command("list")
def list_deliveries(
    subscription: Annotated[
        str | None, typer.Option("--subscription", help="Id of the subscription; by default any.")
    ] = None,
    incident: Annotated[
        str | None, typer.Option("--incident", help="Id of the incident; by default any.")
    ] = None,
    state: Annotated[
        str | None, typer.Option("--state", help="One of pending, delivered and dead; by default any.")
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List deliveries, newest first."""
    chosen = {"subscription": subscription, "incident": incident, "state": state}
    found = list(connect().entries("deliveries", limit, **chosen))
    columns = ("id", "subscription", "incident", "state", "attempts", "last_status", "last_reason")
    print_entries(found, columns, as_json)


@app.command("show")
def show_delivery(delivery: DeliveryName, as_json: AsJson = False) -> None:
    """Show one delivery: its attempts, the status and the head of the last answer."""
    print_answer(connect().get("deliveries", delivery).body, as_json)


@app.command("redeliver")
def redeliver(delivery: DeliveryName) -> None:
    """Send one again under its own id."""
    connect().post("deliveries", delivery, "redeliver", Idempotency_Key=new_key())
    say(f"{delivery} is sent again")
