"""Shows where the scorer's CPU time goes: ``python -m bench.line.profile [--side PIXELS] [--rows N]``."""

from collections.abc import Mapping
from typing import Annotated

import typer
from rich.table import Table

from bench.line import stages
from bench.line.__main__ import environment
from bench.line.pictures import DISTINCT, SIDE, jpegs
from steadyline.terminal import PlainConsole


def main(
    side: Annotated[int, typer.Option(min=64, help="Side of the cameras' frames in pixels.")] = SIDE,
    rows: Annotated[int, typer.Option(min=1, max=40, help="Places in the code that are shown.")] = 25,
) -> None:
    """Sample a scorer that works off a full topic; print its most expensive places."""
    progress = PlainConsole(stderr=True)
    with environment(progress.print) as made:
        found, _servers = stages.watch(made, jpegs(DISTINCT, side), "profile", "--sampled")
    for kind, title in (("own", "own time"), ("with_callees", "time with what it calls")):
        _show(found["seconds"][kind], found["frames"], f"{title}, CPU µs a frame", rows)


def _show(places: Mapping[str, float], frames: int, title: str, rows: int) -> None:
    table = Table(title=title, title_justify="left")
    table.add_column("µs", justify="right")
    table.add_column("place", overflow="fold")
    for place, seconds in list(places.items())[:rows]:
        table.add_row(f"{1e6 * seconds / frames:.0f}", place)
    PlainConsole(width=140).print(table)


if __name__ == "__main__":
    typer.run(main)
