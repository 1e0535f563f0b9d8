"""The cells of the bench, and when one is held. Pure.

The rules are those of "The MVTec AD 2 Dataset" (Heckler-Kram et al., 2025, arXiv:2503.21622): one threshold,
from normals alone, frozen before anything is shifted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.evaluation.corruption import SEVERITIES, Severity
from trainer.evaluation.light import SHIFTS

Figures = Mapping[str, Any]

MILD, SEVERE = 2.0, 5.0  # times the promised rate that good parts may alarm, at severity 1 and beyond
MOST_RECALL_LOST = 0.05
UNSHIFTED = "none"


@dataclass(frozen=True, slots=True)
class Cell:
    """One shift at one severity."""

    kind: str
    severity: Severity = 1

    @property
    def name(self) -> str:
        """The name of its results, its line in the table."""
        return self.kind if self.kind == UNSHIFTED else f"{self.kind}-{self.severity}"

    @property
    def factor(self) -> float:
        """How many times the promised rate good parts may alarm here."""
        return MILD if self.severity == 1 else SEVERE


def cells_of(channels: int, kinds: Sequence[str] = ()) -> list[Cell]:
    """Return every cell, or those of ``kinds``; a gray picture has no white balance to lose."""
    chosen = [kind for kind in SHIFTS if kind in kinds or not kinds]
    if channels == 1:
        chosen = [kind for kind in chosen if kind != "white_balance"]
    return [Cell(kind, severity) for kind in chosen for severity in SEVERITIES]


def is_held(cell: Cell, found: Figures, clean: Figures, rate: float) -> bool:
    """Tell whether the promise holds in a cell: false alarms within its factor of the rate, recall not lost.

    ``found`` and ``clean`` have ``false_alarms`` and ``recall`` in [0, 1]; ``clean`` is unshifted.
    """
    is_quiet = found["false_alarms"] <= cell.factor * rate + 1e-9
    return bool(is_quiet and clean["recall"] - found["recall"] <= MOST_RECALL_LOST + 1e-9)


def share_held(rows: Sequence[tuple[Cell, Figures]], clean: Figures, rate: float) -> float:
    """Return the share of cells that are held: the one number of the bench; NaN with no cell."""
    held = [is_held(cell, found, clean, rate) for cell, found in rows]
    return sum(held) / len(held) if held else float("nan")
