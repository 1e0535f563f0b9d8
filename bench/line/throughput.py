"""Compares the frames a second of the whole line with those of the same Triton driven directly.

Rounds of both are taken in turn, and their ratio is reported.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from bench.line.account import CpuAccount, CpuUse
from bench.line.direct import BATCH, drive, triton_client
from bench.line.environment import PRODUCT, BenchEnvironment, BenchLine
from bench.line.pictures import prepared
from bench.line.report import Section
from steadyline.inference import ModelRef

ROUNDS = 4
DIRECT_SECONDS = 4.0
LINE_SECONDS = 5.0
WARM = 300  # frames that a scorer scores before they count, because it starts with its queues empty
GOAL = 0.8


@dataclass(frozen=True, slots=True)
class ThroughputRound:
    """The frames a second of one round, and the CPU that they used."""

    rate: float
    used: CpuUse


def measure(
    environment: BenchEnvironment, pictures: Sequence[bytes], say: Callable[[str], None], rounds: int = ROUNDS
) -> Section:
    """Take direct and line rounds in turn; pairs begin with a direct round and with a line round by turns."""
    directs, lines = [], []
    count = WARM + int(LINE_SECONDS * direct_round(environment, pictures, 1.0).rate / 3)
    with BenchLine(environment, "throughput") as line:
        for number in range(rounds):
            for kind in ("direct", "line") if number % 2 == 0 else ("line", "direct"):
                if kind == "direct":
                    directs.append(direct_round(environment, pictures, DIRECT_SECONDS))
                else:
                    lines.append(line_round(line, pictures, count))
            say(f"round {number + 1}: direct {directs[-1].rate:.0f}/s, line {lines[-1].rate:.0f}/s")
    return _section(directs, lines)


def direct_round(environment: BenchEnvironment, pictures: Sequence[bytes], seconds: float) -> ThroughputRound:
    """Ask Triton about frames that are decoded and prepared already."""
    decoded, ref = prepared(pictures), ModelRef(PRODUCT, 1)
    triton = triton_client(environment.stack.addresses)
    drive(triton, ref, decoded, 0.3)
    account = CpuAccount(environment)
    answered, took = drive(triton, ref, decoded, seconds)
    used = account.close(answered)
    triton.close()
    return ThroughputRound(answered / took, used)


def line_round(line: BenchLine, pictures: Sequence[bytes], count: int) -> ThroughputRound:
    """Put ``count`` frames on the topic, then start a scorer and wait until it has committed them."""
    before, began = line.committed(), datetime.now(UTC)
    line.send(pictures, count)
    scorer = line.start("scorer", "run")
    line.wait(lambda: line.committed() - before >= WARM)
    account, first = CpuAccount(line.environment, scorer=scorer), line.committed()
    line.wait(lambda: line.committed() - before >= count)
    used = account.close(line.committed() - first)
    line.stop(scorer)
    times = sorted(written for _, written in line.scores(began))
    later = [moment for moment in times if moment > times[WARM]]
    return ThroughputRound(len(later) / (times[-1] - times[WARM]), used)


def _section(directs: Sequence[ThroughputRound], lines: Sequence[ThroughputRound]) -> Section:
    ratios = [line.rate / direct.rate for direct, line in zip(directs, lines, strict=True)]
    cpu = {"direct": _cpu(directs), "line": _cpu(lines)}
    figures = {
        "direct_frames_per_second": [round(one.rate, 1) for one in directs],
        "line_frames_per_second": [round(one.rate, 1) for one in lines],
        "line_rate": round(median(one.rate for one in lines), 1),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "ratio": round(median(ratios), 3),
        "goal": GOAL,
        "cpu_ms_per_frame": cpu,
        "ratio_of_cpu": round(sum(cpu["direct"].values()) / sum(cpu["line"].values()), 3),
        "strangers_cores": [round(one.used.strangers, 2) for one in (*directs, *lines)],
    }
    rows = [
        [
            f"round {number}",
            *_rates(direct.rate, line.rate, ratio),
            f"{direct.used.strangers:.1f}, {line.used.strangers:.1f}",
        ]
        for number, (direct, line, ratio) in enumerate(zip(directs, lines, ratios, strict=True), 1)
    ]
    middle = median(one.rate for one in directs), median(one.rate for one in lines)
    rows.append(["median", *_rates(*middle, median(ratios)), ""])
    totals = [f"{sum(part.values()):.2f} ms" for part in cpu.values()]
    rows.append(["CPU a frame", *totals, f"{figures['ratio_of_cpu']:.2f}", ""])
    rows += [
        [f"  {name}", *(f"{part[name]:.2f} ms" if name in part else "" for part in cpu.values()), "", ""]
        for name in cpu["line"]
    ]
    title = f"1. Frames a second: Triton alone (batches of {BATCH}) and the whole line; goal {GOAL}"
    return Section("throughput", title, figures, ("", "direct", "line", "ratio", "strangers' cores"), rows)


def _rates(direct: float, line: float, ratio: float) -> tuple[str, str, str]:
    return f"{direct:.0f}", f"{line:.0f}", f"{ratio:.2f}"


def _cpu(rounds: Sequence[ThroughputRound]) -> dict[str, float]:
    return {name: round(median(one.used.ms[name] for one in rounds), 3) for name in rounds[0].used.ms}
