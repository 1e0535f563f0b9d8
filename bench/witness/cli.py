"""The command line of the bench of outside witnesses."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.table import Table

from bench.witness.foreign import AutoPgd, BoundaryAttack, ForeignSquares, demand
from bench.witness.harm import Harm, harm, spread, suffered, worse
from bench.witness.proof import OURS, Proofs, proof
from bench.witness.two_classes import Verdict
from steadyline.contracts.model_event import PRODUCT_WIDE
from steadyline.service import EXIT_FAILED
from steadyline.service import run as run_application
from steadyline.settings import SigningSettings, TelemetrySettings, read_settings
from steadyline.signing import read_trusted
from steadyline.telemetry.logs import configure_logs
from steadyline.terminal import PlainConsole
from trainer.evaluation.attacks import Apgd, Attack, Pgd, name_of
from trainer.evaluation.sanity import chosen
from trainer.evaluation.subject import AttackTarget
from trainer.folder import open_package, read_test_set

CLEAN = "none"
MINE = ("our PGD", "our APGD")

app = typer.Typer(name="bench.witness", pretty_exceptions_enable=False, add_completion=False)
_DATA = "A data set in MVTec layout."
_MODEL = "A package that fit wrote."
_COUNT = "Pictures of each kind that are attacked, drawn evenly over the set."
_EPSILON = "Size of the attacks, in steps of 8 bits."
_STEPS = "Steps of each attack that follows gradients, theirs and ours alike."
_QUERIES = "Queries of Square for each picture."
_OUT = "File to write the figures to as JSON; by default none."


@app.command()
def bench(
    data: Annotated[Path, typer.Option("--data", help=_DATA)],
    model: Annotated[Path, typer.Option("--model", help=_MODEL)],
    count: Annotated[int, typer.Option("--pictures", min=2, help=_COUNT)] = 48,
    epsilon: Annotated[float, typer.Option("--epsilon", min=0.01, help=_EPSILON)] = 2.0,
    steps: Annotated[int, typer.Option("--steps", min=1, help=_STEPS)] = 50,
    queries: Annotated[int, typer.Option("--queries", min=1, help=_QUERIES)] = 500,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the attacks.")] = 0,
    out: Annotated[Path | None, typer.Option("--out", help=_OUT)] = None,
) -> None:
    """Attack a package by AutoAttack's own code beside ours, and bound a certified one by auto-LiRPA.

    Ends with status 1 when an attack from outside did more harm than ours, or went beyond a proof.
    """
    demand("pyautoattack")
    configure_logs("bench", read_settings(TelemetrySettings))
    card, module = open_package(model, read_trusted(read_settings(SigningSettings)))
    module.requires_grad_(False)
    test = read_test_set(data, card)
    whole = AttackTarget.of(module, test.pictures, test.anomalous)
    target = whole.part(np.sort(chosen(test.anomalous, count)))
    clean = target.scores(target.x)
    verdict = Verdict(card.calibrations[PRODUCT_WIDE].threshold, spread(torch.from_numpy(clean)))
    size, say = epsilon / 255, PlainConsole(stderr=True)
    suffering = {CLEAN: harm(target, verdict, clean)}
    for name, attack in _attacks(verdict, size, (steps, queries, seed)).items():
        say.print(name)
        suffering[name] = suffered(target, verdict, attack, size)
    say.print("proofs")
    attacked = [one.scores for name, one in suffering.items() if name != CLEAN]
    proven = proof(dict(card.recipe), target, size, attacked)
    problems = _problems(suffering, proven)
    _show(f"{card.detector}, {name_of(size)}, {len(target.x)} pictures", suffering)
    _show_proof(proven, target)
    console = PlainConsole(soft_wrap=True)
    console.print("\n".join(problems) or "no witness found more than we did")
    if out is not None:
        told = {"detector": card.detector, "epsilon": epsilon, "attacks": _figures(suffering)}
        told["proofs"] = _proof_figures(proven, target)
        out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    if problems:
        raise typer.Exit(EXIT_FAILED)


def _attacks(verdict: Verdict, size: float, effort: tuple[int, int, int]) -> Mapping[str, Attack]:
    steps, queries, seed = effort
    ours: tuple[Attack, Attack] = (Pgd(size, steps, seed=seed), Apgd(size, steps, seed=seed))
    return {
        **dict(zip(MINE, ours, strict=True)),
        "AutoAttack APGD-CE": AutoPgd(verdict, size, steps, seed),
        "AutoAttack FAB": BoundaryAttack(verdict, size, steps, seed),
        "AutoAttack Square": ForeignSquares(verdict, size, queries, seed),
    }


def _problems(suffering: Mapping[str, Harm], proven: Proofs | None) -> list[str]:
    ours = {name: suffering[name] for name in MINE}
    found = worse(ours, {name: one for name, one in suffering.items() if name not in (CLEAN, *MINE)})
    if proven is not None and not proven.holds:
        told = ", ".join(f"{count} outside of {name}" for name, count in proven.outside.items())
        found.append(f"a proof does not hold: of {proven.tried} scores {told}; graphs {proven.apart:g} apart")
    return found


def _figures(suffering: Mapping[str, Harm]) -> dict[str, Any]:
    return {
        name: {"turned": one.turned, "hidden": one.hidden, "raised": one.raised, "auroc": one.auroc}
        for name, one in suffering.items()
    }


def _proof_figures(proven: Proofs | None, target: AttackTarget) -> dict[str, Any]:
    if proven is None:
        return {}
    return {
        name: {
            "width": proven.width(name),
            "auroc": proven.auroc(name, target.anomalous),
            "outside": outside,
        }
        for name, outside in proven.outside.items()
    }


def _show(title: str, suffering: Mapping[str, Harm]) -> None:
    table = Table("attack", "verdicts turned", "hidden", "raised", "AUROC", title=title)
    for name, one in suffering.items():
        share = f"{one.turned:.3f} of {one.right}"
        table.add_row(name, share, str(one.hidden), str(one.raised), f"{one.auroc:.3f}")
    PlainConsole(width=100).print(table)


def _show_proof(proven: Proofs | None, target: AttackTarget) -> None:
    console = PlainConsole(width=100)
    if proven is None:
        console.print("this detector proves nothing, so there is no proof to compare")
        return
    columns = ("bound", "mean width", "AUROC proven", "outside", "tighter below", "tighter above")
    table = Table(*columns, title=f"{proven.tried} scores held against each bound")
    for name in proven.intervals:
        figures = (f"{proven.width(name):.5f}", f"{proven.auroc(name, target.anomalous):.3f}")
        ends = ("", "") if name == OURS else tuple(map(str, proven.tighter(name)))
        table.add_row(name, *figures, str(proven.outside[name]), *ends)
    console.print(table)
    console.print(f"the graph that auto-LiRPA was given differs from the model's by {proven.apart:.1e}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    return run_application(app, argv)
