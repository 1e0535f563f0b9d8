"""The table of faults as Markdown."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.faults.measure import Row

COLUMNS = (
    "fault", "captured", "scored", "dropped", "lost", "doubled", "out of order", "longest gap s",
    "first score s", "caught up s", "what was said",
)  # fmt: skip
WORDS = (
    "`captured` = `scored` + `dropped` + frames that were refused. `lost`, `doubled` and `out of order` are "
    "what `steadyline audit` names. The longest gap is the longest time without a score since the fault "
    "began; the two times behind it count from its end, five seconds after a kill."
)


def markdown(rows: Sequence[Row], machine: Mapping[str, Any], setting: str) -> str:
    """Return the page."""
    facts = ", ".join(f"{name} {value}" for name, value in machine.items())
    lines = [
        f"# What a line loses when something fails ({datetime.now(UTC):%Y-%m-%d})",
        "",
        "`make bench-faults`",
    ]
    lines += ["", setting, "", WORDS, "", f"Machine: {facts}.", ""]
    lines += [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    lines += [f"| {' | '.join(cells(row))} |" for row in rows]
    failed = [row.fault.name for row in rows if not row.is_as_promised]
    lines += ["", f"Not as promised: {', '.join(failed) or 'nothing'}."]
    return "\n".join(lines) + "\n"


def cells(row: Row) -> list[str]:
    """Return the texts of one row."""
    totals = {
        name: str(row.totals.get(name, "?")) for name in ("captured", "scored", "doubled", "out_of_order")
    }
    dropped = ", ".join(f"{count} {reason}" for reason, count in row.dropped.items()) or "0"
    lost = str(row.totals.get("missing", "?"))
    if row.fault.is_loss:
        lost += ", deleted by the fault"
    times = [_seconds(row.first_score), _seconds(row.caught_up)]
    said = row.said.replace("|", "/") + (f" **{row.failure}**" if row.failure else "")
    return [
        row.fault.name, totals["captured"], totals["scored"], dropped, lost, totals["doubled"],
        totals["out_of_order"], f"{row.longest_gap:.1f}", *times, said,
    ]  # fmt: skip


def write(path: Path, text: str) -> None:
    """Write a page, its folder included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f}"
