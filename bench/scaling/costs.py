"""What one frame and one transaction cost each part of a line, as the bench of the line has measured it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Figure = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FrameCosts:
    """CPU milliseconds of a frame, and of a transaction however many frames it holds.

    ``request_share`` is the part of Triton's cost that a request has whatever its size, as if it were of one
    frame: batches make it cheaper by the frame. ``commit_ms`` is what a transaction lasts on a machine with
    room, its waiting for the broker's answers included; 0 leaves transactions out. ``beside_ms`` is the
    scorer's between two transactions, for looks of its loop whatever has come: no frame waits for it but on
    the cores.
    """

    producer_ms: float
    broker_ms: float
    scorer_ms: float
    triton_ms: float
    request_share: float = 0.3
    scorer_commit_ms: float = 0.0
    broker_commit_ms: float = 0.0
    commit_ms: float = 0.0
    beside_ms: float = 0.0

    def request_ms(self, frames: int, usual: int) -> float:
        """Return the milliseconds of one request of ``frames``, where requests of ``usual`` were measured."""
        fixed = self.triton_ms * usual * self.request_share
        return fixed + self.triton_ms * (1 - self.request_share) * frames

    @property
    def answers_ms(self) -> float:
        """The part of a transaction in which nobody works: the broker's answers are waited for."""
        return max(0.0, self.commit_ms - self.scorer_commit_ms - self.broker_commit_ms)


def whole_costs(figure: Figure) -> FrameCosts:
    """Return the costs of one load, each frame's part of its transaction with them; raises KeyError."""
    spent = figure["cpu_ms_per_frame"]
    return FrameCosts(spent["producers"], spent["kafka"], spent["scorer"], spent["triton"])


def read_costs(figures: Sequence[Figure]) -> FrameCosts:
    """Read costs from two loads of the bench's section on latency, the fuller first.

    A frame of a light load has nearly a transaction of its own, one of a full load a fraction of one: the
    two loads tell what each costs. Raises KeyError where a load lacks a figure.
    """
    full, light = figures
    spent = full["cpu_ms_per_frame"]
    scorer, scorer_often = _taken_apart(figures, "scorer")
    broker, broker_commit = _taken_apart(figures, "kafka")
    lasts = light["transactions"]["mean_ms"]
    # Within a transaction nobody works longer than it lasts: the rest is work of the scorer beside it.
    scorer_commit = min(scorer_often, max(0.0, lasts - broker_commit))
    return FrameCosts(
        spent["producers"],
        broker,
        scorer,
        spent["triton"],
        scorer_commit_ms=scorer_commit,
        broker_commit_ms=broker_commit,
        commit_ms=lasts,
        beside_ms=scorer_often - scorer_commit,
    )


def _taken_apart(figures: Sequence[Figure], name: str) -> tuple[float, float]:
    """Return the milliseconds of a frame and of a transaction, neither of them below nothing."""
    (full, seldom), (light, often) = (
        (one["cpu_ms_per_frame"][name], one["transactions"]["per_frame"]) for one in figures
    )
    if often - seldom < 0.01:
        return full, 0.0
    commit = min(max((light - full) / (often - seldom), 0.0), full / seldom)
    return full - commit * seldom, commit
