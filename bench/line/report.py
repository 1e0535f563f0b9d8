"""What a section of the benchmark found: figures for a machine, a table for a person."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from steadyline.terminal import PlainConsole


@dataclass(frozen=True, slots=True)
class Section:
    """A section's result: ``figures`` go into the JSON, ``rows`` are printed under ``columns`` with ``note``
    below.
    """

    name: str
    title: str
    figures: Mapping[str, Any]
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def show(self, console: PlainConsole) -> None:
        """Print the table."""
        console.print()
        console.print(self.title, style="bold")
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for number, column in enumerate(self.columns):
            table.add_column(column, justify="left" if number == 0 else "right")
        for row in self.rows:
            table.add_row(*row)
        console.print(table)
        for line in self.note.splitlines():
            console.print(line)


def machine() -> dict[str, Any]:
    """Return the facts of the machine that the figures depend on, with its load by others at this moment."""
    found = [row.split(":", 1)[1].strip() for row in _cpuinfo() if row.startswith("model name")]
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": found[0] if found else "unknown",
        "load_of_others": round(os.getloadavg()[0], 1),
    }


def percentile(values: Sequence[float], fraction: float) -> float:
    """Return the nearest-rank percentile of at least one value."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
