"""Measures one fault of the cluster: what was lost, and when frames were scored in time again."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

from bench.faults.measure import said
from bench.replicas.cluster import NODES, KafkaCluster
from bench.replicas.line import ReplicaBench, ReplicaLine
from steadyline.contracts.score import Score
from steadyline.errors import BrokerUnavailable

BEFORE_SECONDS, AFTER_SECONDS = 8.0, 15.0
DOWN_SECONDS, BOTH_DOWN_SECONDS, TURN_SECONDS = 40.0, 15.0, 25.0
QUIET_SECONDS, QUIET_WITHIN = 5.0, 120.0
DRAINED_WITHIN = 120.0
LATE_SECONDS = 3.0  # from capture to score; a line that keeps up needs a fraction of a second


@dataclass(frozen=True, slots=True)
class ClusterFault:
    """``victims`` are chosen on the running line: those of one turn are killed together, and started again
    ``down`` seconds later.
    """

    name: str
    victims: Callable[[ReplicaLine], Sequence[Collection[int]]]
    down: float


@dataclass(frozen=True, slots=True)
class ClusterRow:
    """What became of one fault.

    ``while_away`` counts from the first kill until frames were scored in time again, before any broker was
    started again; None when they were not. ``since_start`` counts from the last new start, and ``starting``
    is how long the brokers that were started then took until they answered.
    """

    fault: ClusterFault
    totals: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    longest_gap: float = 0.0
    latest: float = 0.0
    while_away: float | None = None
    since_start: float | None = None
    starting: float = 0.0
    said: str = ""
    failure: str = ""

    @property
    def is_as_promised(self) -> bool:
        """True when the line went on and no frame is lost, doubled or out of order."""
        wrong = sum(self.totals.get(name, 1) for name in ("missing", "doubled", "out_of_order"))
        return not wrong and not self.failure


def _leader(line: ReplicaLine) -> int:
    return _cluster(line).leader(line.topics.frames.name, 0)


def _two(line: ReplicaLine) -> Sequence[Collection[int]]:
    first = _leader(line)
    return [(first, next(number for number in NODES if number != first))]


CLUSTER_FAULTS: tuple[ClusterFault, ...] = (
    ClusterFault(
        "kill -9 of the leader of a frames partition", lambda line: [(_leader(line),)], DOWN_SECONDS
    ),
    ClusterFault("kill -9 of each broker in turn", lambda line: [(n,) for n in NODES], TURN_SECONDS),
    ClusterFault("kill -9 of two brokers at once, the leader among them", _two, BOTH_DOWN_SECONDS),
)


def measure(bench: ReplicaBench, fault: ClusterFault, number: int) -> ClusterRow:
    """Run the fault on a line of its own; whatever keeps the line from its end is the row's ``failure``."""
    with closing(ReplicaLine(bench, f"r{number}")) as line:
        try:
            return _measured(line, fault)
        except (TimeoutError, BrokerUnavailable) as error:
            return ClusterRow(fault, said=said(line, {}), failure=str(error))


def _measured(line: ReplicaLine, fault: ClusterFault) -> ClusterRow:
    line.start_all()
    time.sleep(BEFORE_SECONDS)
    sizes = {name: service.log_size() for name, service in line.services.items()}
    began, at = time.monotonic(), time.time()
    started: list[float] = []
    answered = at
    for victims in fault.victims(line):
        _cluster(line).kill9(victims)
        time.sleep(fault.down)
        started.append(time.time())
        _cluster(line).start(victims)
        answered = time.time()
        line.wait(partial(_is_quiet, line), QUIET_WITHIN, "scores without a pause")
    time.sleep(AFTER_SECONDS)
    gap = line.flow.longest_gap(began)
    line.stop("producers")
    line.wait(line.drained, DRAINED_WITHIN, "every frame committed")
    scores = _scores(line, at)
    late = [moment for moment, lateness in scores if lateness > LATE_SECONDS]
    report = line.audit().as_json(0)
    return ClusterRow(
        fault,
        report["totals"],
        report["dropped"],
        gap,
        max((lateness for _, lateness in scores), default=0.0),
        in_time_again([moment for moment, _ in scores], late, at, started[0]),
        max(0.0, max(late, default=at) - started[-1]),
        answered - started[-1],
        said(line, sizes),
    )


def _cluster(line: ReplicaLine) -> KafkaCluster:
    assert isinstance(line.bench, ReplicaBench)
    return line.bench.cluster


def _is_quiet(line: ReplicaLine) -> bool:
    """True when scores have come for some seconds without a pause of one second."""
    return line.flow.longest_gap(time.monotonic() - QUIET_SECONDS) < 1.0


def in_time_again(scored: Sequence[float], late: Sequence[float], since: float, until: float) -> float | None:
    """Return the seconds until frames were scored in time again; None when they were not at ``until``."""
    if not any(until - QUIET_SECONDS < moment < until for moment in scored):
        return None
    return max((moment for moment in late if moment < until), default=since) - since


def _scores(line: ReplicaLine, since: float) -> list[tuple[float, float]]:
    """Return (when, how long after the capture) of each score since a moment, in seconds."""
    found = []
    for record in line.read(line.topics.scores.name):
        captured = Score.decode(record.value).captured_at.timestamp()
        scored = record.timestamp_ms / 1000
        if scored >= since:
            found.append((scored, scored - captured))
    return found
