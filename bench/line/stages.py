"""Measures a scorer's CPU milliseconds per frame, stage by stage, and those of Triton and Kafka apart."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from bench.line.account import CpuAccount, CpuUse
from bench.line.environment import BenchEnvironment, BenchLine
from bench.line.report import Section

SKIP, FRAMES = 300, 1500


def measure(environment: BenchEnvironment, pictures: Sequence[bytes], say: Callable[[str], None]) -> Section:
    """Score frames that wait on the topic with a scorer whose stages are timed."""
    found, used = watch(environment, pictures, "stages")
    per_frame = {stage: 1000 * seconds / found["frames"] for stage, seconds in found["seconds"].items()}
    ordered = sorted(per_frame.items(), key=lambda item: -item[1])
    total = sum(per_frame.values())
    figures = {
        "scorer_cpu_ms_per_frame": {stage: round(value, 3) for stage, value in ordered},
        "scorer_total": round(total, 3),
        **{f"{name}_total": round(value, 3) for name, value in used.ms.items()},
    }
    say(f"scorer {total:.2f} ms a frame")
    rows = [[stage, f"{value:.3f}", f"{100 * value / total:.0f} %"] for stage, value in ordered]
    rows += [["scorer in all", f"{total:.3f}", "100 %"]]
    rows += [[f"{name} beside it", f"{value:.3f}", ""] for name, value in used.ms.items()]
    return Section("stages", "2. CPU a frame, by stage", figures, ("stage", "ms", "share"), rows)


def watch(
    environment: BenchEnvironment, pictures: Sequence[bytes], name: str, *options: str
) -> tuple[dict[str, Any], CpuUse]:
    """Return the account of a watched scorer, and the CPU that the servers used meanwhile."""
    with BenchLine(environment, name) as line:
        line.send(pictures, SKIP + FRAMES + 200)
        out = line.home / "account.json"
        counts = ("--skip", str(SKIP), "--frames", str(FRAMES))
        line.start("bench.line.profiled_scorer", "--out", str(out), *counts, *options)
        line.wait(lambda: line.committed() >= SKIP)
        account, first = CpuAccount(environment), line.committed()
        line.wait(out.exists)
        used = account.close(line.committed() - first)
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found, used
