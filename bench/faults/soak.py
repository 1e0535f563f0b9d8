"""Lets a line run for an hour with swaps and kills: ``python -m bench.faults.soak``, or ``make bench-soak``.

At the end every frame is accounted for, and memory and open files of the first and the last part of the time
are compared, process by process.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import cycle, pairwise
from pathlib import Path
from statistics import median
from typing import Annotated

import psutil
import typer

from bench.faults.line import CAMERAS, FPS, PRODUCT, ROOMY, ROOT, SIDE, FaultBench, FaultLine, fault_bench
from bench.faults.report import write
from bench.line.report import machine
from steadyline.contracts.score import Score
from steadyline.ops.audit.report import Audit
from steadyline.servers.procfs import session_members
from steadyline.terminal import PlainConsole

HOME = ROOT / "var" / "bench-soak"
SAMPLE_SECONDS, KILL_SECONDS, SWAP_SECONDS = 10.0, 120.0, 300.0
SETTLE_SECONDS = 30.0  # a process that has just started is not compared
PART = 1 / 6  # of the time: the first and the last ten minutes of an hour
DRAINED_WITHIN = 180.0
MOST_GROWTH = 1.15  # of the median memory, and two files
BARS = " ▁▂▃▄▅▆▇█"
VICTIMS = ("scorer-a", "producers", "kafka", "triton", "scorer-b", "trainer", "redis")


@dataclass(frozen=True, slots=True)
class Sample:
    """What a role used at a time: seconds since the begin, MiB of memory, open files, age of its process."""

    at: float
    memory: float
    files: int
    age: float


@dataclass
class Soak:
    """A running line, what was done to it, and what its processes used."""

    bench: FaultBench
    line: FaultLine
    minutes: float
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    def run(self, console: PlainConsole) -> None:
        """Swap, kill and sample until the time is up."""
        began, total = time.monotonic(), self.minutes * 60
        faster = min(1.0, max(total / 3600, 0.25))  # a short trial does the same things more often
        sample_every, kill_every, swap_every = (
            faster * seconds for seconds in (SAMPLE_SECONDS, KILL_SECONDS, SWAP_SECONDS)
        )
        next_sample, next_kill, next_swap = 0.0, kill_every, swap_every
        victims, versions = cycle(VICTIMS), cycle((1, 2))
        while (now := time.monotonic() - began) < total:
            if now >= next_sample:
                self._sample(now)
                next_sample += sample_every
            if now >= next_kill and total - now > kill_every / 2:
                self._say(console, now, self._kill(next(victims)))
                next_kill += kill_every
            if now >= next_swap and total - now > kill_every / 2:
                self._say(console, now, self._swap(next(versions)))
                next_swap += swap_every
            time.sleep(0.2)

    def _say(self, console: PlainConsole, now: float, what: str) -> None:
        self.done.append(f"{now:.0f} s: {what}")
        console.print(self.done[-1])

    def _kill(self, victim: str) -> str:
        """Kill a service, which its supervisor starts again, or a server, which is started again at once."""
        if victim in self.line.services:
            self.line.services[victim].kill()
        else:
            server = next(item for name, item in self.bench.stack.servers.items() if name == victim)
            server.kill9()
            server.start()
        return f"kill -9 of {victim}"

    def _swap(self, version: int) -> str:
        """Order the other version into service; the trainer may be away at this moment."""
        answer = self.line.steadyline("models", "promote", PRODUCT, str(version))
        problem = "" if answer.returncode == 0 else f": {answer.stderr.strip()[-200:]}"
        return f"swap to version {version}{problem}"

    def _sample(self, now: float) -> None:
        roles = {name: [service.pid] for name, service in self.line.services.items()}
        roles |= {str(name): session_members(server.pid) for name, server in self.bench.stack.servers.items()}
        for role, pids in roles.items():
            found = list(_of(pids))
            if found:
                memory, files, ages = (list(column) for column in zip(*found, strict=True))
                sample = Sample(now, sum(memory), sum(files), max(ages))
                self.samples.setdefault(role, []).append(sample)


def _of(pids: Sequence[int]) -> Iterator[tuple[float, int, float]]:
    """Yield memory in MiB, open files and age of each process that lives."""
    for pid in pids:
        try:
            process = psutil.Process(pid)
            yield (
                process.memory_info().rss / (1 << 20),
                process.num_fds(),
                time.time() - process.create_time(),
            )
        except psutil.Error:
            continue


def compared(samples: Sequence[Sample], seconds: float, settle: float) -> tuple[list[Sample], list[Sample]]:
    """Return the samples of the first and of the last part of the time, of processes that have settled."""
    settled = [sample for sample in samples if sample.age >= settle]
    part = PART * seconds
    early = [sample for sample in settled if sample.at <= part + settle]
    return early, [sample for sample in settled if sample.at >= seconds - part]


def is_flat(early: Sequence[Sample], late: Sequence[Sample]) -> bool:
    """Tell whether neither memory nor open files have grown; True where there is nothing to compare."""
    if not early or not late:
        return True
    memory = median(s.memory for s in late) <= MOST_GROWTH * median(s.memory for s in early)
    return memory and median(s.files for s in late) <= median(s.files for s in early) * MOST_GROWTH + 2


def table(soak: Soak) -> list[str]:
    """Return the Markdown rows of memory and open files, early and late, with a plot of the memory."""
    seconds = soak.minutes * 60
    settle = min(SETTLE_SECONDS, seconds / 12)
    rows = []
    for role, samples in soak.samples.items():
        early, late = compared(samples, seconds, settle)
        cells = [role]
        for pick in (lambda s: s.memory, lambda s: float(s.files)):
            cells += [f"{median(map(pick, part)):.0f}" if part else "?" for part in (early, late)]
        cells += ["yes" if is_flat(early, late) else "**no**", f"`{plot([s.memory for s in samples])}`"]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def plot(values: Sequence[float], width: int = 60) -> str:
    """Return the values as a line of bars from 0 to the largest, at most ``width`` of them."""
    step = max(1, -(-len(values) // width))
    largest = max(values, default=1.0) or 1.0
    means = [sum(values[at : at + step]) / len(values[at : at + step]) for at in range(0, len(values), step)]
    return "".join(BARS[round(value / largest * (len(BARS) - 1))] for value in means)


def swaps_taken_up(line: FaultLine) -> int:
    """Return how often the scores of the first camera change to another version, in their order."""
    scores = [Score.decode(record.value) for record in line.read(line.topics.scores.name)]
    versions = [score.model_version for score in scores if score.camera == min(CAMERAS)]
    return sum(before != after for before, after in pairwise(versions))


def page(soak: Soak, audit: Audit) -> str:
    """Return the result as Markdown."""
    facts = ", ".join(f"{name} {value}" for name, value in machine().items())
    kills = sum("kill" in what for what in soak.done)
    lines = [
        f"# {soak.minutes:g} minutes with swaps and kills ({datetime.now(UTC):%Y-%m-%d})",
        "", "`make bench-soak`", "",
        f"{len(CAMERAS)} cameras of {FPS:g} frames a second, {SIDE} pixels a side; {kills} kills, "
        f"{len(soak.done) - kills} swaps ordered, {swaps_taken_up(soak.line)} taken up. Machine: {facts}.",
        "", f"The identity {'holds' if audit.is_intact else '**is broken**'}: "
        + ", ".join(f"{name.replace('_', ' ')} {number}" for name, number in audit.totals().items()) + ".",
        "", "Medians of the first and last sixth of the time, without the first half minute of a process:",
        "", "| process | MiB first | MiB last | files first | files last | flat | MiB over time |",
        f"|{'---|' * 7}", *table(soak), "", "What was done:", "", *(f"- {what}" for what in soak.done),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def main(
    minutes: Annotated[float, typer.Option(min=1, help="Minutes to run; an hour by default.")] = 60.0,
    home: Annotated[Path, typer.Option(help="Folder for servers, disks and logs.")] = HOME,
    out: Annotated[
        Path | None, typer.Option(help="File for the result; by default docs/results/<date>-soak.md.")
    ] = None,
) -> None:
    """Run a line with a swap every five minutes and a kill -9 every two; as root (it mounts small disks)."""
    console = PlainConsole(soft_wrap=True)
    with fault_bench(home, ROOMY) as bench:
        console.print("training two models")
        bench.train(versions=2)
        with closing(FaultLine(bench, "soak")) as line:
            line.start_all()
            soak = Soak(bench, line, minutes)
            soak.run(console)
            line.stop("producers")
            line.wait(line.drained, DRAINED_WITHIN, "every frame committed")
            audit = line.audit()
            text = page(soak, audit)
    path = out or ROOT / "docs" / "results" / f"{datetime.now(UTC):%Y-%m-%d}-soak.md"
    write(path, text)
    console.print(f"written to {path}; the identity {'holds' if audit.is_intact else 'is broken'}")


if __name__ == "__main__":
    typer.run(main)
