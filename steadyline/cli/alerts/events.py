"""``steadyline alerts events``: every change of an incident, as it comes."""

import json
from typing import Annotated

import typer

from steadyline.cli.alerts.connection import AsJson, connect
from steadyline.cli.alerts.output import complain, say
from steadyline.ops.alerts_client import StreamedChange

app = typer.Typer()


@app.command("events")
def follow_events(
    after: Annotated[
        int | None,
        typer.Option(
            "--after", min=0, help="Number of the last change that is known; by default from now on."
        ),
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", min=1, help="Changes after which it ends; by default never.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print every change as it comes, until Ctrl-C; a stream that is cut goes on where it was."""
    left = count
    for change in connect().follow(
        after, lambda problem: complain(f"the stream is cut, and goes on: {problem}")
    ):
        _print(change, as_json)
        left = None if left is None else left - 1
        if left == 0:
            return


def _print(change: StreamedChange, as_json: bool) -> None:
    alert = change.alert
    if as_json:
        print(json.dumps({"id": change.id, **alert}), flush=True)
        return
    told = "" if alert["notify"] else " (nobody was told)"
    say(f"{change.id} {alert['at']} {alert['incident']} {alert['change']}: {alert['summary']}{told}")
