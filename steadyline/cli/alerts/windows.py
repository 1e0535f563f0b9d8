"""``steadyline alerts windows`` and ``steadyline alerts why``: when nobody is notified, and who was told."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from steadyline.cli.alerts.connection import AsJson, connect, new_key, read_json_file
from steadyline.cli.alerts.output import print_entries, print_json, say
from steadyline.errors import InvalidConfiguration
from steadyline.line_fields import parse_duration

app = typer.Typer(help="Maintenance windows: when nobody is notified, and of what.", no_args_is_help=True)

WindowName = Annotated[str, typer.Argument(help="Id of the window.")]

_COLUMNS = ("id", "name", "scope", "schedule", "in_force_until", "next_begin")


@app.command("list")
def list_windows(
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most windows to list.")] = 200,
    as_json: AsJson = False,
) -> None:
    """List windows: which is in force, until when, and when each is next."""
    found = list(connect().entries("windows", limit))
    for one in found if not as_json else ():
        one.update(scope=_scope(one["scope"]), schedule=_schedule(one["schedule"]))
    print_entries(found, _COLUMNS, as_json)


@app.command("add")
def add_window(
    name: Annotated[str, typer.Argument(help="What is done then, for people.")],
    start: Annotated[
        datetime, typer.Option("--start", help="First begin by the clock of the zone, 2026-03-01T22:00:00.")
    ],
    for_: Annotated[str, typer.Option("--for", help="How long it lasts, 2h for example; 7d at most.")],
    zone: Annotated[
        str, typer.Option("--zone", help="IANA name of the zone, Europe/Vienna for example; by default UTC.")
    ] = "UTC",
    rule: Annotated[
        str | None,
        typer.Option(
            "--rule", help="RRULE by which it recurs, FREQ=WEEKLY;BYDAY=SU for example; by default once."
        ),
    ] = None,
    product: Annotated[
        list[str] | None,
        typer.Option("--product", help="Product that it holds, may be repeated; by default all."),
    ] = None,
    camera: Annotated[
        list[str] | None,
        typer.Option(
            "--camera", help="Pattern of cameras, east-* for example, may be repeated; by default all."
        ),
    ] = None,
) -> None:
    """Add a window: while it is in force, incidents in its scope are recorded and nobody is notified."""
    schedule = {
        "start": start.isoformat(),
        "duration_minutes": _minutes(for_),
        "zone": zone,
        "rule": rule,
    }
    body = {
        "name": name,
        "scope": {"products": product or [], "cameras": camera or []},
        "schedule": schedule,
    }
    made = connect().post("windows", body=body, Idempotency_Key=new_key()).body
    until = (
        f"in force until {made['in_force_until']}" if made["in_force"] else f"next at {made['next_begin']}"
    )
    say(f"{made['id']} is {until}")


@app.command("show")
def show_window(window: WindowName) -> None:
    """Show one window as JSON."""
    print_json(connect().get("windows", window).body)


@app.command("replace")
def replace_window(
    window: WindowName,
    file: Annotated[Path, typer.Argument(help="JSON file with name, scope and schedule.")],
) -> None:
    """Put what a file says in the place of a window that is not in force."""
    body, client = read_json_file(file, "the file of the window"), connect()
    etag = client.get("windows", window).etag
    print_json(client.put("windows", window, body=body, If_Match=etag or "").body)


@app.command("end")
def end_window(window: WindowName) -> None:
    """End the occurrence that is in force now; later ones are left as they are."""
    connect().post("windows", window, "end", Idempotency_Key=new_key())
    say(f"{window} is over; what still stands is told within a minute")


@app.command("remove")
def remove_window(window: WindowName) -> None:
    """Remove a window that is not in force."""
    client = connect()
    etag = client.get("windows", window).etag
    client.delete("windows", window, If_Match=etag or "")
    say(f"{window} is removed")


def why(
    incident: Annotated[str, typer.Argument(help="Id of the incident.")],
    subscription: Annotated[
        str | None, typer.Option("--subscription", help="Id of one subscription; by default all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say of each change why there was one, who was told of it, and why the others were not."""
    found = connect().get("incidents", incident, "why", subscription=subscription).body
    if as_json:
        print_json(found)
        return
    for one in found["changes"]:
        say(f"{one['at']} {one['change']}: {one['why']} ({one['in_words']})")
        for told in one["subscriptions"]:
            say(f"  {told['name']} ({told['subscription']}): {told['outcome']}: {told['in_words']}")


def _minutes(text: str) -> int:
    try:
        duration = parse_duration(text)
    except (ValueError, OverflowError) as error:
        raise InvalidConfiguration(f"--for {text!r} is no duration: write 30m, 2h or 1d") from error
    if duration % timedelta(minutes=1) or not duration:
        raise InvalidConfiguration(f"--for {text!r} is no number of whole minutes")
    return int(duration // timedelta(minutes=1))


def _scope(scope: dict[str, Any]) -> str:
    return ", ".join([*scope["products"], *scope["cameras"]]) or "the line"


def _schedule(schedule: dict[str, Any]) -> str:
    minutes, rule = schedule["duration_minutes"], schedule["rule"]
    return f"{schedule['start']} {schedule['zone']}, {minutes} min, {rule or 'once'}"
