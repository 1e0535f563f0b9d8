"""``steadyline alerts list``, ``show`` and what people do about an incident."""

from datetime import UTC, datetime
from typing import Annotated, Literal

import typer

from steadyline.cli.alerts.connection import (
    AsJson,
    Comment,
    IncidentName,
    Limit,
    OutFile,
    connect,
    new_key,
    write_bytes,
)
from steadyline.cli.alerts.output import print_entries, print_json, say
from steadyline.cli.since import moment
from steadyline.errors import InvalidConfiguration
from steadyline.line_fields import parse_duration

app = typer.Typer()


@app.command("list")
def list_incidents(
    state: Annotated[
        list[str] | None,
        typer.Option("--state", help="State of the incidents, may be repeated; by default any."),
    ] = None,
    camera: Annotated[
        str | None, typer.Option("--camera", help="Camera of the incidents; by default any.")
    ] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Kind of the incidents; by default any.")] = None,
    severity: Annotated[
        list[str] | None,
        typer.Option("--severity", help="Severity of the incidents, may be repeated; by default any."),
    ] = None,
    product: Annotated[
        str | None, typer.Option("--product", help="Product of the incidents; by default any.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", help="How far back they were opened, 24h for example; by default any time."),
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List incidents, newest first."""
    begin = moment(since)
    chosen = {"state": state, "camera": camera, "kind": kind, "severity": severity, "product": product}
    opened = None if begin is None else begin.isoformat()
    found = list(connect().entries("incidents", limit, **chosen, opened_from=opened))
    print_entries(found, ("id", "kind", "severity", "state", "camera", "opened_at", "summary"), as_json)


@app.command()
def show(incident: IncidentName, as_json: AsJson = False) -> None:
    """Show one incident and its story, with the reason of each change."""
    client = connect()
    found = client.get("incidents", incident).body
    story = client.get("incidents", incident, "story").body["items"]
    if as_json:
        print_json({"incident": found, "story": story})
        return
    say(f"{found['id']} {found['kind']} {found['severity']} {found['state']}: {found['summary']}")
    for one in found["escalations"]:
        step = f"step {one['step']} of {one['steps']} of {one['name']}"
        say(f"next: {step} at {one['due_at']}, to subscription {one['subscription']}")
    for one in story:
        who = f" by {one['who']}" if one["who"] else ""
        said = f" “{one['comment']}”" if one["comment"] else ""
        told = "" if one["notify"] else " (nobody was told)"
        say(f"{one['at']} {one['change']}{who}: {one['why']}{said}{told}")


@app.command()
def ack(incident: IncidentName, comment: Comment = None) -> None:
    """Take an incident, so that it escalates no further."""
    _act(incident, "acknowledge", {"comment": comment})


@app.command()
def resolve(incident: IncidentName, comment: Comment = None) -> None:
    """Close an incident."""
    _act(incident, "resolve", {"comment": comment})


@app.command()
def snooze(
    incident: IncidentName,
    for_: Annotated[str, typer.Option("--for", help="How long to hear nothing of it, 1h for example.")],
    comment: Comment = None,
) -> None:
    """Hear nothing of an incident for a while."""
    try:
        until = datetime.now(UTC) + parse_duration(for_)
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidConfiguration(f"--for {for_!r} is no duration: write 30m, 1h or 2d") from error
    _act(incident, "snooze", {"until": until.isoformat(), "comment": comment})


@app.command()
def assign(
    incident: IncidentName,
    to: Annotated[str, typer.Argument(help="Name of the person or of the team.")],
    comment: Comment = None,
) -> None:
    """Give an incident to somebody; its state stays."""
    _act(incident, "assign", {"to": to, "comment": comment})


@app.command("comment")
def comment_on(
    incident: IncidentName, text: Annotated[str, typer.Argument(help="What to say of it.")]
) -> None:
    """Say something of an incident, also of one that is over."""
    _act(incident, "comment", {"text": text})


@app.command()
def evidence(
    incident: IncidentName,
    which: Annotated[Literal["picture", "map"], typer.Argument(help="What to fetch: picture or map.")],
    out: OutFile,
) -> None:
    """Write the worst frame of an incident, or its map, to a file."""
    found = connect().download("incidents", incident, which)
    write_bytes(out, found.data)
    say(f"{out}: {len(found.data)} bytes, {found.media_type}")


def _act(incident: str, act: str, body: dict[str, str | None]) -> None:
    after = connect().post("incidents", incident, act, body=body, Idempotency_Key=new_key()).body
    whose = f", assigned to {after['assigned_to']}" if after.get("assigned_to") else ""
    say(f"{after['id']} is {after['state']}{whose}")
