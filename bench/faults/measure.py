"""Measures one fault on a running line: what was lost, how long it took, and what the line said."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field

from bench.faults.catalogue import Fault
from bench.faults.line import CAMERAS, FPS, FaultBench, FaultLine
from steadyline.errors import BrokerUnavailable

BEFORE_SECONDS, AFTER_SECONDS = 4.0, 3.0
RECOVERED_WITHIN, DRAINED_WITHIN = 90.0, 90.0
MOST_LAG = int(2 * FPS * len(CAMERAS))  # two seconds of frames: the line keeps up
QUIET = ("info", "debug")
MOST_WORDS = 5


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one fault; a time is None when it did not come within the deadline."""

    fault: Fault
    totals: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    first_score: float | None = None
    caught_up: float | None = None
    longest_gap: float = 0.0
    said: str = ""
    failure: str = ""

    @property
    def is_as_promised(self) -> bool:
        """True when the line caught up, and no frame is lost but by the fault, doubled or out of order."""
        lost = self.totals.get("missing", 1) if not self.fault.is_loss else 0
        wrong = lost + self.totals.get("doubled", 1) + self.totals.get("out_of_order", 1)
        return not wrong and self.caught_up is not None and not self.failure


def measure(bench: FaultBench, fault: Fault, number: int) -> Row:
    """Run the fault on a line of its own; whatever keeps the line from its end is the row's ``failure``."""
    with closing(FaultLine(bench, f"f{number}", fault.is_disturbed)) as line:
        try:
            return _measured(line, fault)
        except (TimeoutError, AssertionError, BrokerUnavailable) as error:
            return Row(fault, said=said(line, {}), failure=str(error))


def _measured(line: FaultLine, fault: Fault) -> Row:
    line.start_all()
    time.sleep(BEFORE_SECONDS)
    sizes = {name: service.log_size() for name, service in line.services.items()}
    began = time.monotonic()
    with fault.act(line):
        time.sleep(fault.seconds)
    healed = time.monotonic()
    _try(lambda: line.flow.caught_up_after(healed, MOST_LAG) is not None, RECOVERED_WITHIN)
    time.sleep(AFTER_SECONDS)
    gap = line.flow.longest_gap(began)
    caught_up = line.flow.caught_up_after(healed, MOST_LAG)
    line.stop("producers")
    is_drained = _try(line.drained, DRAINED_WITHIN)
    report = line.audit().as_json(0)
    return Row(
        fault,
        report["totals"],
        report["dropped"],
        line.flow.first_score_after(healed),
        caught_up,
        gap,
        said(line, sizes),
        "" if is_drained else "frames still wait",
    )


def _try(done: Callable[[], bool], within: float) -> bool:
    """Wait until ``done``; return whether it was within the time."""
    end = time.monotonic() + within
    while not (is_done := done()) and time.monotonic() < end:
        time.sleep(0.2)
    return is_done


def said(line: FaultLine, since: Mapping[str, int]) -> str:
    """Return the reasons, or events, of the warnings and errors of each service, and how it ended."""
    parts = []
    for name, service in line.services.items():
        rows = [row for row in service.said(since.get(name, 0)) if row.get("level") not in (*QUIET, None)]
        words = Counter(str(row.get("reason") or row.get("event")) for row in rows)
        told = [f"{word} ({count})" if count > 1 else word for word, count in words.most_common(MOST_WORDS)]
        told += [f"ended with {status}" for status in service.endings]
        if told:
            parts.append(f"{name}: {', '.join(told)}")
    return "; ".join(parts)
