"""The command line of the bench of other threats: what is attacked, how, and what is printed."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from bench.threats.plan import threats
from steadyline.errors import InvalidConfiguration
from steadyline.grid import Grid
from steadyline.service import run as run_application
from steadyline.settings import SigningSettings, TelemetrySettings, read_settings
from steadyline.signing import read_trusted
from steadyline.telemetry.logs import configure_logs
from steadyline.terminal import PlainConsole
from trainer.evaluation.sanity import chosen
from trainer.evaluation.subject import AttackTarget
from trainer.folder import open_package, read_test_set

app = typer.Typer(name="bench.threats", pretty_exceptions_enable=False, add_completion=False)
_DATA = "A data set in MVTec layout."
_MODEL = "A package that fit wrote."
_COUNT = "Pictures of each kind that are attacked, drawn evenly over the set."
_STEPS = "Steps of each attack that follows gradients."
_ONLY = "An attack whose name begins so; again for another one. The default is all of them."
_OUT = "File to write the figures to as JSON; by default none."


@app.command()
def bench(
    data: Annotated[Path, typer.Option("--data", help=_DATA)],
    model: Annotated[Path, typer.Option("--model", help=_MODEL)],
    count: Annotated[int, typer.Option("--pictures", min=2, help=_COUNT)] = 48,
    steps: Annotated[int, typer.Option("--steps", min=1, help=_STEPS)] = 50,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the attacks.")] = 0,
    only: Annotated[list[str] | None, typer.Option("--only", help=_ONLY)] = None,
    out: Annotated[Path | None, typer.Option("--out", help=_OUT)] = None,
) -> None:
    """Attack a package at its input in other norms, by stickers, turns, light and colour; name the worst."""
    configure_logs("bench", read_settings(TelemetrySettings))
    card, module = open_package(model, read_trusted(read_settings(SigningSettings)))
    test = read_test_set(data, card)
    whole = AttackTarget.of(module, test.pictures, test.anomalous)
    target = whole.part(np.sort(chosen(test.anomalous, count)))
    plan = threats(Grid(*target.x.shape[2:]), target.x.shape[1], steps, seed)
    wanted = [name for name in plan if not only or any(name.startswith(one) for one in only)]
    if not wanted:
        raise InvalidConfiguration(f"--only {', '.join(only or ())}: there are {', '.join(plan)}")
    say = PlainConsole(stderr=True)
    clean = target.scores(target.x)
    figures: dict[str, dict[str, float]] = {"clean": {"both": target.auroc(clean)}}
    for name in wanted:
        say.print(name)
        found = target.scores(target.attacked(plan[name]))
        sides = target.by_side(clean, found)
        figures[name] = {"both": target.auroc(found), "hide": sides.hide, "raise": sides.raise_}
    _show(figures, len(target.x))
    if out is not None:
        told: dict[str, Any] = {"detector": card.detector, "pictures": len(target.x), "figures": figures}
        out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def _show(figures: dict[str, dict[str, float]], pictures: int) -> None:
    console = PlainConsole(width=100)
    table = Table("attack", "AUROC", "hide", "raise", title=f"{pictures} pictures")
    for name, row in figures.items():
        table.add_row(
            name, *(f"{row[side]:.3f}" if side in row else "" for side in ("both", "hide", "raise"))
        )
    console.print(table)
    attacks = {name: row for name, row in figures.items() if "hide" in row}
    both = min(attacks, key=lambda name: attacks[name]["both"])
    hide = min(attacks, key=lambda name: attacks[name]["hide"])
    console.print(
        f"worst: {both} ({attacks[both]['both']:.3f}); hiding: {hide} ({attacks[hide]['hide']:.3f})"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    return run_application(app, argv)
