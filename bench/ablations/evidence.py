"""How far pseudo-anomalies predict the AUROC of real defects: ``python -m bench.ablations.evidence``.

It reads plans that were made with known defects (``python -m trainer plan --data FOLDER --defects KNOWN``)
and prints both figures of each candidate, and Spearman's rank correlation of the two: within each plan,
between the best candidates of the plans, and over all.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from bench.command import run_main
from steadyline.errors import InvalidConfiguration
from steadyline.terminal import PlainConsole
from trainer.planner.measured import Measured, rank_correlation, read_kept

Pairs = Mapping[str, tuple[float, float]]  # candidate → AUROC of pseudo-anomalies and of known defects


def main(
    plan: Annotated[list[str], typer.Option(help="Folder of a plan, as NAME=FOLDER; again for another one.")],
) -> None:
    """Print the table and the rank correlations."""
    console = PlainConsole(soft_wrap=True)
    named = [one.partition("=") for one in plan]
    plans = {name: candidates_of(name, Path(folder)) for name, _, folder in named}
    console.print("| set | candidate | p99 ms | pseudo | raised | defects | found |")
    console.print("|---|---|---|---|---|---|---|")
    for name, found in plans.items():
        for one in found:
            console.print(_row(name, one))
    for name, value in correlations({name: pairs_of(found) for name, found in plans.items()}).items():
        console.print(f"rank correlation {name}: {'-' if value is None else f'{value:.2f}'}")


def candidates_of(name: str, folder: Path) -> list[Measured]:
    """Return the candidates of a plan in order of detector and grid, the newest figures of each.

    Raises InvalidConfiguration when there is none that was measured on known defects.
    """
    kept = sorted((folder / "candidates").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    newest = {one.candidate: one for path in kept if (one := read_kept(path)) is not None}
    found = [one for one in newest.values() if one.sight("defects") and one.sight("pseudo")]
    if not found:
        raise InvalidConfiguration(
            f"--plan {name}={folder}: no candidate there was measured on known defects; plan with --defects"
        )
    return sorted(found, key=lambda one: (one.candidate.detector, one.candidate.grid.pixels))


def pairs_of(found: Sequence[Measured]) -> Pairs:
    """Return both AUROC of each candidate."""
    pairs = {}
    for one in found:
        pseudo, real = one.sight("pseudo"), one.sight("defects")
        assert pseudo is not None
        assert real is not None
        pairs[one.candidate.name] = (pseudo.auroc, real.auroc)
    return pairs


def correlations(plans: Mapping[str, Pairs]) -> dict[str, float | None]:
    """Return the rank correlation within each plan, between the plans, and of all candidates."""
    found = {f"within {name}": rank_correlation(pairs) for name, pairs in plans.items()}
    best = {name: max(pairs.values(), key=lambda pair: pair[0]) for name, pairs in plans.items()}
    found["between sets, of the best candidate of each by pseudo-anomalies"] = rank_correlation(best)
    found["over all"] = rank_correlation(
        {f"{name} {candidate}": pair for name, pairs in plans.items() for candidate, pair in pairs.items()}
    )
    return found


def _row(name: str, one: Measured) -> str:
    pseudo, real = one.sight("pseudo"), one.sight("defects")
    assert pseudo is not None
    assert real is not None
    raised = "-" if pseudo.raised is None else f"{pseudo.raised:.2f}"
    figures = f"{one.p99_ms:.1f} | {pseudo.auroc:.3f} | {raised} | {real.auroc:.3f} | {real.found:.2f}"
    return f"| {name} | {one.candidate.name} | {figures} |"


if __name__ == "__main__":
    raise SystemExit(run_main(main))
