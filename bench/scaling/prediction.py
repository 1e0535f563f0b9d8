"""Holds the simulation to a line that was measured here: its latencies, and how many frames it bears."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.line.environment import CAMERAS
from bench.line.report import Section, percentile
from bench.line.throughput import ThroughputRound
from bench.scaling.costs import FrameCosts
from bench.scaling.simulator import LinePlan, LineSimulation

SECONDS = 60.0
LEAST_LEFT = 0.05  # of a core, for the line: a scheduler is fair, and strangers never take all
COMMIT_SECONDS = 0.025  # between two transactions
STEPS = 8  # of a search between nothing and all that the cores could do
COMMIT_SECONDS_BEHIND = 0.1  # between two transactions of a scorer for which frames wait


def plan_here(rate: float, cores: int, costs: FrameCosts, strangers: float = 0.0) -> LinePlan:
    """Return the plan of the bench's line at ``rate`` frames a second on this machine's cores.

    ``strangers`` is how many of them others used: no more is left to these than the line leaves.
    """
    frame = costs.producer_ms + costs.broker_ms + costs.scorer_ms + costs.triton_ms
    commits = min(rate, 1 / (COMMIT_SECONDS + costs.commit_ms / 1000))
    commit = costs.scorer_commit_ms + costs.broker_commit_ms + costs.beside_ms
    own = (frame * rate + commit * commits) / 1000
    left = max(0.0, cores - own - LEAST_LEFT)
    return LinePlan(
        len(CAMERAS),
        rate / len(CAMERAS),
        len(CAMERAS),
        1,
        shared_cores=cores,
        strangers_cores=min(strangers, left),
    )


def compared(figures: Sequence[Mapping[str, Any]], costs: FrameCosts, cores: int) -> Section:
    """Predict the times of each measured load, on the cores that strangers left."""
    rows, kept = [], {}
    for figure in figures:
        rate = figure["frames_per_second"]
        plan = plan_here(rate, cores, costs, figure["strangers_cores"])
        outcome = LineSimulation(plan, costs).run(SECONDS)
        row: dict[str, float] = {}
        for name, fraction in (("p50_ms", 0.50), ("p99_ms", 0.99)):
            told, seen = 1000 * percentile(outcome.latencies, fraction), figure["to the score"][name]
            row |= {
                f"predicted_{name}": round(told, 1),
                name: seen,
                f"error_{name}": round(told / seen - 1, 3),
            }
        kept[f"{rate:g} a second"] = row
        names = ("p50_ms", "predicted_p50_ms", "p99_ms", "predicted_p99_ms")
        errors = [f"{row[f'error_{name}']:+.0%}" for name in ("p50_ms", "p99_ms")]
        rows.append([f"{rate:.0f} a second", *(f"{row[name]:.1f}" for name in names), *errors])
    columns = ("", "p50 ms", "predicted", "p99 ms", "predicted", "error p50", "error p99")
    return Section(
        "prediction",
        "From capture to score, measured and predicted",
        kept,
        columns,
        rows,
        _told(figures, costs),
    )


def most_frames(costs: FrameCosts, cores: int, strangers: float) -> float:
    """Return how many frames a second the simulated scorer bears, with producers elsewhere.

    A scorer that is behind commits less often.
    """
    costs = replace(costs, producer_ms=0.0)
    low, high = 0.0, 1000 * cores / (costs.broker_ms + costs.scorer_ms + costs.triton_ms)
    for _ in range(STEPS):
        rate = (low + high) / 2
        plan = replace(plan_here(rate, cores, costs, strangers), commit_seconds=COMMIT_SECONDS_BEHIND)
        outcome = LineSimulation(plan, costs).run(SECONDS / 2)
        is_kept = outcome.captured - outcome.scored < 0.05 * outcome.captured
        low, high = (rate, high) if is_kept else (low, rate)
    return low


def throughput_compared(measured: ThroughputRound, costs: FrameCosts, cores: int) -> Section:
    """Predict how many frames a second one scorer bears, where ``measured`` worked off a full topic."""
    told = most_frames(costs, cores, measured.used.strangers)
    figures = {"measured": measured.rate, "predicted": told, "error": told / measured.rate - 1}
    rows = [
        ["frames a second at most", f"{measured.rate:.0f}", f"{told:.0f}", f"{figures['error']:+.0%}"],
    ]
    title = f"What one scorer bears; strangers used {measured.used.strangers:.1f} cores"
    return Section("bears", title, figures, ("", "measured", "predicted", "error"), rows)


def _told(figures: Sequence[Mapping[str, Any]], costs: FrameCosts) -> str:
    parts = [
        f"CPU ms a frame: producers {costs.producer_ms:.2f}, broker {costs.broker_ms:.2f}, scorer "
        f"{costs.scorer_ms:.2f}, Triton {costs.triton_ms:.2f}",
        f"CPU ms a transaction: scorer {costs.scorer_commit_ms:.2f}, broker {costs.broker_commit_ms:.2f}; it "
        f"lasts {costs.commit_ms:.1f} ms on the lighter load",
    ]
    for figure in figures:
        commits = figure["transactions"]
        parts.append(
            f"at {figure['frames_per_second']:.0f} frames a second: {commits['per_frame']:.2f} transactions "
            f"a frame of {commits['mean_ms']:.1f} ms, strangers used {figure['strangers_cores']:.1f} cores"
        )
    return "\n".join(parts)
