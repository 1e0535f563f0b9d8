"""``steadyline alerts rules``, ``simulate`` and ``why-frame``."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from steadyline.cli.alerts.connection import AsJson, Limit, connect
from steadyline.cli.alerts.output import print_entries, print_json, say
from steadyline.cli.since import moment
from steadyline.errors import InvalidConfiguration
from steadyline.rule_set import RuleSet, WrongRules
from steadyline.setting_text import read_text_file
from steadyline.yaml_lines import YamlLines, parse_yaml

app = typer.Typer()
rules = typer.Typer(help="The rules of incidents: those in force, and those that were.", no_args_is_help=True)
app.add_typer(rules, name="rules")

_PATIENCE = timedelta(minutes=30)  # a simulation lasts as long as the service is set to let it
_FIGURES = ("incidents", "notifications", "held_back")


@rules.command("show")
def show_rules(
    version: Annotated[
        str | None, typer.Option("--version", help="Version of the rules; by default those in force.")
    ] = None,
) -> None:
    """Print rules as JSON, which a rules file may hold too, with no default left out."""
    client = connect()
    found = client.get("rules") if version is None else client.get("rules", "versions", version)
    print_json(found.body)


@rules.command("versions")
def list_versions(limit: Limit = 50, as_json: AsJson = False) -> None:
    """List the versions of the rules that processes have started with, the newest first."""
    found = list(connect().entries("rules/versions", limit))
    print_entries(found, ("version", "first_at", "last_at"), as_json)


@app.command()
def simulate(
    since: Annotated[str, typer.Option("--since", help="How far back the span begins, 7d for example.")],
    file: Annotated[
        Path,
        typer.Option(
            "--rules",
            help="YAML file with the sections alerts and products.NAME.alerts, as in the line file; what it "
            "does not name stays as it is in force.",
        ),
    ],
    until: Annotated[
        str | None,
        typer.Option("--until", help="How far back the span ends, 1h for example; by default now."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print what other rules would have made of the topics, and in what that differs from those in force."""
    begin, end = moment(since), moment(until, "--until")
    assert begin is not None
    client = connect(_PATIENCE)
    changes = _read_rules(file, client.get("rules").body)
    body = {"since": begin.isoformat(), "until": end and end.isoformat(), "rules": changes}
    found = client.post("rules", "simulate", body=body).body
    if as_json:
        print_json(found)
    else:
        _print_comparison(found)


@app.command("why-frame")
def tell_frame(
    frame: Annotated[str, typer.Argument(help="Id of the frame, camera/epoch/sequence.")],
    since: Annotated[
        str | None,
        typer.Option("--since", help="How far back to begin; the default is where the frame's epoch began."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell why a frame opened an incident, or why it did not, by the rules in force."""
    begin = moment(since)
    parts = frame.split("/")
    if len(parts) != 3:
        raise InvalidConfiguration(f"{frame!r} is no frame id: write camera/epoch/sequence")
    found = connect(_PATIENCE).get("frames", *parts, "why", since=begin.isoformat() if begin else None).body
    if as_json:
        print_json(found)
        return
    say(*found["why"]["text"])
    if found["recorded"] is False:
        say("That incident is not in the database: people's acts, or other rules then, made another of it.")
    say(f"{found['why']['replayed']} scores of the camera were replayed.")


def _read_rules(file: Path, in_force: dict[str, Any]) -> Any:
    """Return what a rules file says; raises InvalidConfiguration with ``file:line: field: what is wrong``."""
    places = parse_yaml(read_text_file(file, f"the rules file {file}"), str(file))
    found = json.loads(json.dumps(places.data if places.data is not None else {}, default=str))
    if isinstance(found, dict):
        found.pop("version", None)  # what `rules show` prints may be changed and given back
    try:
        known = RuleSet.model_validate({name: in_force[name] for name in ("alerts", "products")})
        known.proposed(found)
    except WrongRules as error:
        raise InvalidConfiguration(*_located(places, file, error)) from error
    except (ValidationError, KeyError):
        return found  # the service is of another release: it knows what it takes
    return found


def _located(places: YamlLines, file: Path, error: WrongRules) -> list[str]:
    return [
        f"{file}:{places.line_of(place)}: {'.'.join(map(str, place)) or 'file'}: {problem}"
        for place, problem in error.problems
    ]


def _print_comparison(found: dict[str, Any]) -> None:
    comparison = found["comparison"]
    now, proposed = comparison["now"], comparison["proposed"]
    say(*(f"{name.replace('_', ' ')}: {now[name]} in force, {proposed[name]} proposed" for name in _FIGURES))
    for what in ("by_kind", "by_severity"):
        for name in sorted({*now[what], *proposed[what]}):
            say(f"  {name}: {now[what].get(name, 0)} in force, {proposed[what].get(name, 0)} proposed")
    rows = [
        *(_row("gone", one) for one in comparison["only_now"]),
        *(_row("new", one) for one in comparison["only_proposed"]),
        *(_row(_difference(one), one["proposed"]) for one in comparison["changed"]),
    ]
    if rows:
        rows.sort(key=lambda row: (row["opened_at"], row["id"]))
        print_entries(rows, tuple(rows[0]), as_json=False)
    else:
        say("nothing differs" if now == proposed else "no incident differs")
    if comparison["left_off"]:
        say(f"{comparison['left_off']} more incidents differ, which are not shown")
    for topic in found["topics"]:
        refused = f", {topic['refused']} of them refused" if topic["refused"] else ""
        cut = f"; cut at the bound of {topic['cut']}: the rest was not read" if topic["cut"] else ""
        reached = f", up to {topic['last']}" if topic["last"] else ""
        say(f"{topic['topic']}: {topic['messages']} messages{refused}{reached}{cut}")


def _row(difference: str, one: dict[str, Any]) -> dict[str, Any]:
    about = one["camera"] or one["product"]
    told = f"{one['notified']} notified, {one['held_back']} held back"
    names = ("opened_at", "kind", "severity", "id")
    return {"differs": difference, "about": about, **{name: one[name] for name in names}, "changes": told}


def _difference(pair: dict[str, Any]) -> str:
    now, proposed = pair["now"], pair["proposed"]
    found = [_shift("opened", pair["opened_later_seconds"]), _shift("over", pair["resolved_later_seconds"])]
    if now["severity"] != proposed["severity"]:
        found.append(f"{now['severity']} → {proposed['severity']}")
    if (now["resolved_at"] is None) != (proposed["resolved_at"] is None):
        found.append("still stands" if proposed["resolved_at"] is None else "is over")
    if now["notified"] != proposed["notified"]:
        found.append(f"{proposed['notified']} notified in place of {now['notified']}")
    if now["frames"] != proposed["frames"]:
        found.append(f"{proposed['frames']} frames in place of {now['frames']}")
    return "; ".join(part for part in found if part) or "held back otherwise"


def _shift(what: str, seconds: float | None) -> str:
    if not seconds:
        return ""
    return f"{what} {abs(seconds):g} s {'later' if seconds > 0 else 'earlier'}"
