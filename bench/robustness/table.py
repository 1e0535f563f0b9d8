"""Shows the matrix as tables, on the terminal and as markdown: means over seeds with their spread."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.table import Table

from steadyline.terminal import PlainConsole, styled

Row = Mapping[str, Any]
_SEVERITY = "2"
_SIDES = ("hide", "raise")  # attacks that only hide defects, and that only raise false alarms


def headline(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Return the head and the lines of the table: one line for each model on each data set."""
    whole = [row for row in rows if "error" not in row]
    sizes = list(dict.fromkeys(size for row in whole for size in row["attacked"]))
    head = ["data", "model", "seeds", "attacked", "clean", "random"]
    head += [*sizes, *(f"{side} {size}" for side in _SIDES for size in sizes)]
    head += [f"proven {size}" for size in sizes]
    head += ["bad days", "false alarms", "misses", "pixel", "AUPRO", *(f"pixel {size}" for size in sizes)]
    head += ["train s", "ms", "checks"]
    lines = [_line(group, sizes) for group in _groups(whole)]
    failed = [row for row in rows if "error" in row]
    lines += [
        [row["data"], row["model"], str(row["seed"]), f"failed: {row['error']}"] + [""] * (len(head) - 4)
        for row in failed
    ]
    return head, lines


def corruption_table(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Return the head and the lines of the table of corruptions: AUROC / false alarms / misses under each, at
    severities 1, 2 and 3.
    """
    whole = [row for row in rows if "error" not in row]
    kinds = list(whole[0]["corruptions"]) if whole else []
    lines = []
    for group in _groups(whole):
        columns = []
        for kind in kinds:
            parts = [
                " / ".join(
                    f"{np.mean([row['corruptions'][kind][severity][name] for row in group]):.2f}"
                    for name in ("auroc", "false_alarms", "misses")
                )
                for severity in group[0]["corruptions"][kind]
            ]
            columns.append("; ".join(parts))
        lines.append([group[0]["data"], group[0]["model"], *columns])
    return ["data", "model", *kinds], lines


def markdown(rows: Sequence[Row], command: str) -> str:
    """Return the page: the command that made it, both tables, every check that fails."""
    failing = [
        f"- {row['data']} {row['model']}-{row['seed']}: {check['check']}"
        for row in rows
        for check in row.get("sanity", ())
        if not check["holds"]
    ]
    parts = [
        "```\n" + command + "\n```",
        _pipes(*headline(rows)),
        "Under corruption: AUROC / false alarms / misses at the threshold of clean held-out normals, for "
        "severities 1; 2; 3.",
        _pipes(*corruption_table(rows)),
        "Checks that fail:\n" + "\n".join(failing) if failing else "Every check of the figures holds.",
    ]
    return "\n\n".join(parts) + "\n"


def show(rows: Sequence[Row], console: PlainConsole) -> None:
    """Print the first table, and every check of every run."""
    head, lines = headline(rows)
    table = Table("", *(f"{line[0]} {line[1]}" for line in lines))  # turned: it has more columns than lines
    for index, name in enumerate(head[2:], 2):
        table.add_row(name, *(line[index] for line in lines))
    console.print(table)
    for row in rows:
        for check in row.get("sanity", ()):
            numbers = ", ".join(f"{name} {value:.3g}" for name, value in check["figure"].items())
            verdict = ("holds", "green") if check["holds"] else ("FAILS", "bold red")
            cell = f"{row['data']} {row['model']}-{row['seed']}"
            console.print(styled(verdict, f" {cell}: {check['check']}: {numbers}"))


def _groups(rows: Sequence[Row]) -> list[list[Row]]:
    names = dict.fromkeys((row["data"], row["model"]) for row in rows)
    return [[row for row in rows if (row["data"], row["model"]) == name] for name in names]


def _line(group: list[Row], sizes: list[str]) -> list[str]:
    first = group[0]
    count = first["attacked_pictures"]
    line = [
        first["data"],
        first["model"],
        ", ".join(str(row["seed"]) for row in group),
        f"{count['good']} + {count['defective']} at {first['attack_at']}",
        _mean(group, "clean"),
        _mean(group, "noise"),
    ]
    for size in sizes:
        bound = any(row["attacked"][size]["is_bound"] for row in group)
        line.append(("≤ " if bound else "") + _mean(group, "attacked", size, "auroc"))
    line += [_mean(group, "sides", size, side) for side in _SIDES for size in sizes]
    line += [_mean(group, "certified", size) for size in sizes]
    corrupted = [{"mean": _mean_corrupted(row)} for row in group]
    line += [_mean(corrupted, "mean"), _mean(group, "rates", "false_alarms"), _mean(group, "rates", "misses")]
    line += [_mean(group, "pixel", "clean", "auroc"), _mean(group, "pixel", "clean", "aupro")]
    line += [_mean(group, "pixel", size, "auroc") for size in sizes]
    fails = sum(not check["holds"] for row in group for check in row["sanity"])
    return [
        *line,
        _mean(group, "training_seconds", digits=0),
        _mean(group, "forward_ms", digits=1),
        "hold" if not fails else f"{fails} FAIL",
    ]


def _mean_corrupted(row: Row) -> float:
    """Return the mean AUROC over all corruptions at the middle severity."""
    return float(np.mean([found[_SEVERITY]["auroc"] for found in row["corruptions"].values()]))


def _mean(group: Sequence[Row], *path: str, digits: int = 3) -> str:
    """Return the mean, with the standard deviation when there are several seeds; a dash when there is no
    value.
    """
    found = [number for number in (_at(row, path) for row in group) if number is not None]
    if not found:
        return "–"
    mean = f"{np.mean(found):.{digits}f}"
    return f"{mean} ± {np.std(found, ddof=1):.{digits}f}" if len(found) > 1 else mean


def _at(row: Row, path: Sequence[str]) -> float | None:
    found: Any = row
    for name in path:
        found = found.get(name, {})
    return found if isinstance(found, float | int) else None


def _pipes(head: list[str], lines: list[list[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
