"""``steadyline alerts audit``: who did what, when, to what."""

from typing import Annotated

import typer

from steadyline.cli.alerts.connection import AsJson, Limit, connect
from steadyline.cli.alerts.output import print_entries
from steadyline.cli.since import moment

app = typer.Typer()


@app.command("audit")
def list_acts(
    who: Annotated[str | None, typer.Option("--who", help="Name of who acted; by default anybody.")] = None,
    act: Annotated[
        str | None, typer.Option("--act", help="Act, incident.resolve for example; by default any.")
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", help="What it was done to, incident/ID; by default any.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="How far back to look, 7d for example; by default any time.")
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List what people did through the API, newest first."""
    begin = moment(since)
    chosen = {"who": who, "act": act, "target": target, "since": begin and begin.isoformat()}
    found = list(connect().entries("audit", limit, **chosen))
    print_entries(found, ("at", "who", "act", "target", "detail"), as_json)
