"""Shows a plan: a table on the terminal, and one HTML page with pictures that needs no other file."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from jinja2 import Environment, select_autoescape
from rich.table import Table

from steadyline.grid import Grid
from steadyline.picture import encode_png
from steadyline.prepare import Channels, prepare
from steadyline.terminal import PlainConsole, styled
from trainer.arrays import Pictures
from trainer.planner.conclude import Conclusion
from trainer.planner.measured import Measured

_TEMPLATE = "plan.html"
_WIDTH = 140  # of the table: a narrower terminal, or a pipe, wraps its lines and loses none of its figures


@dataclass(frozen=True, slots=True)
class Plan:
    """A finished plan: facts of the folder by name, the figures, the conclusion and the line file's block.

    ``example`` is a defect (H, W, C) at the camera's pixels, and ``left`` is what each grid leaves of such.
    ``agreement`` is the rank correlation of both kinds of evidence over the candidates, where there are both.
    """

    facts: Mapping[str, str]
    measured: Sequence[Measured]
    conclusion: Conclusion
    example: Pictures | None
    left: Mapping[Grid, float]
    channels: Channels
    block: str
    page: Path
    agreement: float | None


HEAD = (
    "detector",
    "grid",
    "p99 ms",
    "MiB",
    "pseudo",
    "defects",
    "found",
    "alarms",
    "shifted",
    "attacked",
    "hidden",
    "proven",
    "",
)


def rows_of(measured: Sequence[Measured]) -> list[list[str]]:
    """Return the table's rows of text; AUROC of both kinds of evidence, attacked and proven, and rates."""
    found = []
    for one in measured:
        pseudo, real = one.sight("pseudo"), one.sight("defects")
        found.append(
            [
                one.candidate.detector,
                str(one.candidate.grid),
                f"{one.p99_ms:.1f}",
                f"{one.memory_mib:.0f}",
                "-" if pseudo is None else f"{pseudo.auroc:.3f}",
                "-" if real is None else f"{real.auroc:.3f}",
                f"{one.judged.found:.0%}",
                f"{one.alarms:.1%}",
                f"{one.shifted:.1%}",
                f"{one.attacked:.3f}",
                f"{one.hidden:.3f}",
                "-" if one.proven is None else f"{one.proven:.3f}",
                "" if one.blind is None else "sees next to nothing",
            ]
        )
    return found


def table_of(measured: Sequence[Measured]) -> Table:
    """Return the table for a terminal."""
    table = Table(*HEAD)
    for row in rows_of(measured):
        table.add_row(*row)
    return table


def show(plan: Plan, console: PlainConsole) -> None:
    """Print the folder's facts, the table, the sentence, what must be said beside it, and the block."""
    for name, fact in plan.facts.items():
        console.print(f"{name:>9}: {fact}")
    wide = console if console.width >= _WIDTH else PlainConsole(file=console.file, width=_WIDTH)
    wide.print(table_of(plan.measured))
    if plan.agreement is not None:
        console.print(
            f"rank correlation of pseudo-anomalies with known defects over {len(plan.measured)} candidates: "
            f"{plan.agreement:.2f}"
        )
    console.print(plan.conclusion.sentence)
    for note in plan.conclusion.notes:
        console.print(styled(("note", "yellow"), f": {note}"))
    for line in plan.block.splitlines():
        console.print(line)
    console.print(f"page: {plan.page}")


def html(page: Plan) -> str:
    """Return the page."""
    environment = Environment(autoescape=select_autoescape(), trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((files("trainer.planner") / _TEMPLATE).read_text(encoding="utf-8"))
    example = page.example
    grids = (
        []
        if example is None
        else [
            {
                "grid": str(grid),
                "left": f"{left * 255:.1f}",
                "png": _png(prepare(example, grid, page.channels)),
            }
            for grid, left in page.left.items()
        ]
    )
    return template.render(
        facts=page.facts,
        sentence=page.conclusion.sentence,
        notes=page.conclusion.notes,
        head=HEAD,
        rows=rows_of(page.measured),
        example=None if example is None else _png(example),
        grids=grids,
        maps=[{"name": one.candidate.name, "png": one.map_png} for one in page.measured if one.map_png],
        block=page.block,
    )


def _png(picture: Pictures) -> str:
    plain = picture[..., 0] if picture.shape[2] == 1 else picture
    return base64.b64encode(encode_png(np.ascontiguousarray(plain))).decode()
