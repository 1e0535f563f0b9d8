"""``steadyline models``: what versions there are, what became of them, and orders to the trainer."""

import getpass
import json
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.table import Table

from steadyline.cli.line_models import event_of, event_source, line_broker
from steadyline.cli.model_packages import AsJson, show, sign
from steadyline.clock import SystemClock
from steadyline.contracts.message import MOST_VERSION
from steadyline.contracts.model_command import MOST_WHO, MOST_WHY, Action, ModelCommand
from steadyline.contracts.model_event import Change, Model
from steadyline.errors import InvalidConfiguration
from steadyline.kafka.commands import CommandPublisher
from steadyline.kafka.model_orders import CLIENT, SentCommand, await_answer, newest_events
from steadyline.service import EXIT_FAILED, LineFile
from steadyline.terminal import PlainConsole, styled

app = typer.Typer(help="The models of a line: list them, promote one, roll back.", no_args_is_help=True)
app.command()(show)
app.command()(sign)

MOST_SECONDS = 30 * 86_400
Wait = Annotated[bool, typer.Option("--wait", help="Wait until the trainer has answered.")]
Within = Annotated[
    float,
    typer.Option(
        "--within", min=0, max=MOST_SECONDS, help="Longest time to wait for the answer, in seconds."
    ),
]
Why = Annotated[str, typer.Option("--why", help="Reason for the command, which the history keeps.")]
ProductName = Annotated[str, typer.Argument(help="Product of the line.")]


@app.command("list")
def list_models(line: LineFile = Path("line.yaml"), as_json: AsJson = False) -> None:
    """List every product's versions with state, figures and reason."""
    with line_broker(line) as (config, broker):
        events = newest_events(event_source(config, broker))
    if as_json:
        rows = {product: [_row(model) for model in event.models] for product, event in events.items()}
        print(json.dumps({"products": rows}, indent=2))
        return
    table = Table()
    for column in ("product", "version", "state", "detector", "clean", "attacked", "trained", "reason"):
        table.add_column(column)
    for product, event in sorted(events.items()):
        for model in event.models:
            table.add_row(product, *_cells(model))
    _console().print(table if events else "no model has been trained yet")


@app.command()
def history(product: ProductName, line: LineFile = Path("line.yaml"), as_json: AsJson = False) -> None:
    """Show every change of a product's versions, oldest first, and what the monitor last found."""
    with line_broker(line) as (config, broker):
        event = event_of(config, broker, product)
    if as_json:
        changes = [change.model_dump(mode="json") for change in event.changes]
        health = event.health.model_dump(mode="json") if event.health else None
        print(json.dumps({"product": product, "changes": changes, "health": health}, indent=2))
        return
    console = _console()
    for change in event.changes:
        console.print(_sentence(change))
    if event.health is not None:
        console.print(f"watch: version {event.health.version} is {event.health.state}: {event.health.reason}")


@app.command()
def promote(
    product: ProductName,
    version: Annotated[int, typer.Argument(min=1, max=MOST_VERSION, help="Version to put in service.")],
    line: LineFile = Path("line.yaml"),
    why: Why = "",
    wait: Wait = False,
    within: Within = 120.0,
) -> None:
    """Put a version in service: a candidate, or one that was live before."""
    _order(line, _Order(product, "promote", version, why), timedelta(seconds=within) if wait else None)


@app.command()
def rollback(
    product: ProductName,
    line: LineFile = Path("line.yaml"),
    why: Why = "",
    wait: Wait = False,
    within: Within = 120.0,
) -> None:
    """Put the version back in service that was live before the present one."""
    _order(line, _Order(product, "rollback", None, why), timedelta(seconds=within) if wait else None)


@app.command()
def retrain(
    product: ProductName,
    line: LineFile = Path("line.yaml"),
    why: Why = "",
    wait: Wait = False,
    within: Within = 3600.0,
) -> None:
    """Train a new version now; it goes live when it passes the gate."""
    _order(line, _Order(product, "retrain", None, why), timedelta(seconds=within) if wait else None)


@dataclass(frozen=True, slots=True)
class _Order:
    product: str
    action: Action
    version: int | None
    why: str


def _order(line: Path, order: _Order, wait: timedelta | None) -> None:
    """Send the order and, when asked to, follow it; exit status 1 when it was refused or not answered."""
    if len(order.why) > MOST_WHY:
        raise InvalidConfiguration(f"--why has {len(order.why)} characters: {MOST_WHY} is the most")
    with line_broker(line) as (config, broker):
        topics = config.kafka_topics()
        if order.product not in config.products:
            raise InvalidConfiguration(f"{line} has no product {order.product!r}")
        known = newest_events(event_source(config, broker)).get(order.product)
        command = ModelCommand(
            product=order.product,
            action=order.action,
            version=order.version,
            who=getpass.getuser()[:MOST_WHO],
            at=datetime.now(UTC),
            why=order.why,
        )
        with closing(CommandPublisher(broker, topics.model_commands, config.line, CLIENT)) as commands:
            offset = commands.send(command)
        if wait is None:
            _console().print(f"{order.action} was ordered for {order.product}; --wait follows it")
            return
        versions = frozenset(model.version for model in known.models) if known else frozenset()
        sent = SentCommand(command, offset, versions)
        change, _ = await_answer(event_source(config, broker), sent, SystemClock(), wait)
    if change is None:
        unanswered = (f"no answer within {wait}", "red")
        _console().print(styled(unanswered, ": is a trainer running? The order stands."))
        raise typer.Exit(EXIT_FAILED)
    _console().print(_sentence(change))
    if change.after != "live" or change.reason.startswith("refused"):
        raise typer.Exit(EXIT_FAILED)


def _row(model: Model) -> dict[str, object]:
    fields = {"version", "detector", "state", "reason", "trained_at", "package", "lineage", "figures"}
    return model.model_dump(mode="json", include=fields)


def _cells(model: Model) -> tuple[RenderableType, ...]:
    clean = model.figures.get("clean_auroc")
    attacked = [value for name, value in model.figures.items() if name.startswith("pgd_auroc_")]
    return (
        str(model.version),
        styled((model.state, "bold green")) if model.state == "live" else model.state,
        model.detector,
        "–" if clean is None else f"{clean:.3f}",
        "–" if not attacked else f"{min(attacked):.3f}",
        model.trained_at.strftime("%Y-%m-%d %H:%M"),
        model.reason,
    )


def _sentence(change: Change) -> str:
    before = change.before or "nothing"
    return (
        f"{change.at:%Y-%m-%d %H:%M:%S} version {change.version}: {before} → {change.after}: {change.reason}"
    )


def _console() -> PlainConsole:
    return PlainConsole(soft_wrap=True)
