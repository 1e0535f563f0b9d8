"""A scorer is killed, and the model server is: what a run does, and what the simulation says of it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bench.line.direct import triton_client
from bench.line.environment import LOAD_WITHIN, PRODUCT, BenchEnvironment
from bench.line.flow import RunningLine, flowing
from bench.line.report import Section, percentile
from bench.scaling.costs import FrameCosts
from bench.scaling.prediction import plan_here
from bench.scaling.simulator import LinePlan, LineSimulation, PlannedEvents
from steadyline.demo.figures import latency_ms
from steadyline.servers.ports import free_ports

AFTER_SECONDS = 30.0
SETTLED_SECONDS = 10.0  # for a second scorer, to have its partitions
AWAY_SECONDS = 6.0  # and what the start of Triton takes
TAKEOVER_SECONDS = 7.0  # 6 s are the session's time-out, the rest is the group's
LATE_MS = 1000.0
AT = 15.0  # of the simulated day

Say = Callable[[str], None]
Fault = Callable[[BenchEnvironment, RunningLine], float]  # returns how long it lasted, in seconds


@dataclass(frozen=True, slots=True)
class OutageFigures:
    """Latencies in milliseconds with the second of each capture, 0 when the fault began; from then on."""

    latencies: Sequence[float]
    at: Sequence[float]

    def row(self) -> list[str]:
        """Return p50, maximum, how many came later than a second, and when the last of these had come."""
        late = [at + one / 1000 for at, one in zip(self.at, self.latencies, strict=True) if one > LATE_MS]
        p50, most = percentile(self.latencies, 0.5), max(self.latencies)
        return [f"{p50:.0f}", f"{most:.0f}", str(len(late)), f"{max(late, default=0.0):.1f}"]


def measure(
    made: BenchEnvironment, pictures: Sequence[bytes], rate: float, costs: FrameCosts, say: Say
) -> Section:
    """Kill one of two scorers, then the model server for a while; predict both, with cores to spare."""
    say(f"a scorer of two is killed at {rate:.0f} frames a second")
    lost, _ = _run(made, pictures, f"lost-{rate:.0f}", rate, _kill_a_scorer)
    say(f"Triton is killed at {rate:.0f} frames a second")
    away, seconds = _run(made, pictures, f"away-{rate:.0f}", rate, _kill_triton)
    plan = replace(plan_here(rate, 2, costs), scorers=2)
    told = (
        ("a scorer of two is killed", lost, PlannedEvents(lost_at=AT, takeover_seconds=TAKEOVER_SECONDS)),
        (f"Triton is away for {seconds:.1f} s", away, PlannedEvents(away_at=AT, away_seconds=seconds)),
    )
    rows = []
    for name, measured, events in told:
        rows += [[name, *measured.row()], [f"{name}, predicted", *_told(plan, costs, events).row()]]
    columns = ("", "p50 ms", "max ms", "later than 1 s", "the last of them after s")
    title = f"What a fault does in {AFTER_SECONDS:.0f} s at {rate:.0f} frames a second"
    return Section("outages", title, {row[0]: row[1:] for row in rows}, columns, rows)


def _told(plan: LinePlan, costs: FrameCosts, events: PlannedEvents) -> OutageFigures:
    day = LineSimulation(plan, costs, events).run(AT + 2 * AFTER_SECONDS)
    seen = zip(day.latencies, day.at, strict=True)
    return _from_the_fault([(1000 * latency, at - AT) for latency, at in seen])


def _run(
    made: BenchEnvironment, pictures: Sequence[bytes], name: str, rate: float, fault: Fault
) -> tuple[OutageFigures, float]:
    with flowing(made, name, pictures, rate) as flow:
        began, seconds = time.time(), fault(made, flow)
        began = began if seconds else time.time()
        time.sleep(max(0.0, began + AFTER_SECONDS - time.time()))
        flow.drain()
        scores = [score for score, _ in flow.line.scores()]
    found = [(latency_ms(score), score.captured_at.timestamp() - began) for score in scores]
    return _from_the_fault(found), seconds


def _from_the_fault(found: Sequence[tuple[float, float]]) -> OutageFigures:
    kept = [pair for pair in found if -AWAY_SECONDS / 2 <= pair[1] < AFTER_SECONDS]
    return OutageFigures([latency for latency, _ in kept], [at for _, at in kept])


def _kill_a_scorer(_: BenchEnvironment, flow: RunningLine) -> float:
    """Start a second scorer, and kill it once it has had its partitions for a while; it lasts for good."""
    port = str(free_ports(1)[0])
    second = flow.line.start("scorer", "run", SCORER_INSTANCE="second", STEADYLINE_HEALTH_PORT=port)
    time.sleep(SETTLED_SECONDS)
    flow.line.kill(second)
    return 0.0


def _kill_triton(made: BenchEnvironment, _: RunningLine) -> float:
    began = time.monotonic()
    made.stack.triton.kill9()
    time.sleep(AWAY_SECONDS)
    made.stack.triton.restart()
    triton = triton_client(made.stack.addresses)
    triton.load(PRODUCT, LOAD_WITHIN)
    triton.close()
    return time.monotonic() - began
