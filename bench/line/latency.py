"""Measures the time from a frame's capture to its score at parts of the load that the line can bear."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.line.account import CpuAccount, CpuUse
from bench.line.environment import BenchEnvironment
from bench.line.flow import flowing
from bench.line.report import Section, percentile
from steadyline.demo.figures import latency_ms

SECONDS = 12.0
PARTS = (0.5, 0.1)


def measure(
    environment: BenchEnvironment, pictures: Sequence[bytes], line_rate: float, say: Callable[[str], None]
) -> Section:
    """Measure while real producers send parts of ``line_rate`` frames a second."""
    rows: list[list[str]] = []
    figures: dict[str, dict[str, Any]] = {}
    for part in PARTS:
        rate = part * line_rate
        say(f"{rate:.0f} frames a second for {SECONDS:.0f} s")
        latencies, used, commits = _flow(environment, pictures, rate)
        figure: dict[str, Any] = {"frames_per_second": round(rate, 1), "transactions": commits}
        for name, values in latencies.items():
            found = [percentile(values, 0.50), percentile(values, 0.99), max(values)]
            rows.append([f"{rate:.0f} a second, {name}", *(f"{value:.1f}" for value in found)])
            figure[name] = dict(
                zip(("p50_ms", "p99_ms", "max_ms"), (round(v, 1) for v in found), strict=True)
            )
        figure["cpu_ms_per_frame"] = {name: round(value, 2) for name, value in used.ms.items()}
        figure["strangers_cores"] = round(used.strangers, 2)
        figures[f"{part:g} of the load"] = figure
    notes = [
        f"CPU ms a frame at {figure['frames_per_second']:.0f} a second: "
        + ", ".join(f"{name} {value:.2f}" for name, value in figure["cpu_ms_per_frame"].items())
        + f"; strangers used {figure['strangers_cores']:.1f} cores"
        for figure in figures.values()
    ]
    title = f"3. From capture, at half and a tenth of {line_rate:.0f} frames a second"
    return Section("latency", title, figures, ("", "p50 ms", "p99 ms", "max ms"), rows, "\n".join(notes))


def _flow(
    environment: BenchEnvironment, pictures: Sequence[bytes], rate: float
) -> tuple[dict[str, list[float]], CpuUse, dict[str, float]]:
    with flowing(environment, f"latency-{rate:.0f}", pictures, rate) as flow:
        first, commits = flow.line.committed(), flow.transactions()
        account = CpuAccount(environment, scorer=flow.scorer, producers=flow.producers)
        time.sleep(SECONDS)
        frames = flow.line.committed() - first
        used = account.close(frames)
        count, seconds = (now - then for now, then in zip(flow.transactions(), commits, strict=True))
        flow.drain()
        seen = [(score, written) for score, written in flow.line.scores() if score.captured_at >= flow.since]
    return (
        {
            "to the score": [latency_ms(score) for score, _ in seen],
            "to its transaction": [
                1000 * (written - score.captured_at.timestamp()) for score, written in seen
            ],
        },
        used,
        {"per_frame": round(count / frames, 4), "mean_ms": round(1000 * seconds / count, 2)},
    )
