"""A line as a simulation: cameras, partitions, scorers that batch and commit, a model server, bad days.

A scorer's loop takes no frame while it commits, as the real one does not; a transaction costs the scorer and
the broker CPU and waits for answers, whatever it holds. What it leaves out: memory, the network's time, the
store, retries of what was under way, fetches that miss, and that processes on the same cores take turns
within a task and not after it.
"""

import random
from collections import deque
from dataclasses import dataclass, field
from functools import partial

from bench.scaling.costs import FrameCosts
from bench.scaling.resource import Act, Resource, SimulatedTime

TURN_SECONDS = 0.003  # for which Linux lets a process work before the next one's turn


@dataclass(frozen=True, slots=True)
class LinePlan:
    """A line to simulate. With ``shared_cores`` all parts run on so many cores of one machine; without, each
    scorer has ``scorer_cores`` of its own and the model server ``triton_servers``, and producers and brokers
    are never short.
    """

    cameras: int
    frames_per_second: float  # of one camera
    partitions: int
    scorers: int
    shared_cores: int | None = None
    scorer_cores: int = 2
    triton_servers: int = 1
    triton_speed: float = 1.0  # how many times as fast as the core that was measured
    max_batch: int = 8
    in_flight: int = 2
    commit_seconds: float = 0.025  # between the begins of two transactions
    look_seconds: float = 0.005  # between two looks of the scorer's loop
    linger_seconds: float = 0.005  # for which a producer waits for more to send
    strangers_cores: float = 0.0  # of the shared ones, which others use in turns of a scheduler's length


@dataclass(frozen=True, slots=True)
class PlannedEvents:
    """What happens meanwhile: a swap that costs the model server so many CPU seconds, a scorer that is gone
    until another one has its partitions, a model server that is gone until it serves again.
    """

    swap_at: float | None = None
    swap_cpu_seconds: float = 1.0
    lost_at: float | None = None
    takeover_seconds: float = 7.0
    away_at: float | None = None
    away_seconds: float = 10.0


@dataclass(slots=True)
class SimulatedDay:
    """What came out: latencies in seconds from capture to score, of frames captured after the warm-up.

    ``at`` holds the time of each one's capture.
    """

    captured: int = 0
    scored: int = 0
    latencies: list[float] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    most_waiting: int = 0
    busy: dict[str, float] = field(default_factory=dict)  # share of each resource that was used


class _Worker:
    """One scorer: frames wait for its loop, for decoding and for a request; then for a transaction."""

    def __init__(self, cores: Resource) -> None:
        self.cores = cores
        self.ready: deque[float] = deque()  # times of capture
        self.under_way = 0
        self.is_gone = False
        self.kept: list[float] = []  # what waits on its partitions while it is gone, or commits
        self.uncommitted = 0
        self.is_committing = self.is_commit_planned = False
        self.committed_at = float("-inf")  # when the last transaction began


class LineSimulation:
    """Runs one plan; the same seed gives the same outcome."""

    def __init__(
        self, plan: LinePlan, costs: FrameCosts, events: PlannedEvents | None = None, seed: int = 1
    ) -> None:
        self._plan, self._costs, self._events = plan, costs, events or PlannedEvents()
        self._random = random.Random(seed)
        self._time = SimulatedTime()
        shared = None if plan.shared_cores is None else Resource(self._time, plan.shared_cores)
        self._shared = shared
        self._triton = shared or Resource(self._time, plan.triton_servers)
        self._workers = [
            _Worker(shared or Resource(self._time, plan.scorer_cores)) for _ in range(plan.scorers)
        ]
        self._outcome, self._warm, self._is_model_away = SimulatedDay(), 0.0, False

    def run(self, seconds: float, warm: float = 5.0) -> SimulatedDay:
        """Simulate ``seconds``, of which the first ``warm`` do not count."""
        self._warm = warm
        for camera in range(self._plan.cameras):
            begin = self._random.random() / self._plan.frames_per_second
            self._time.at(begin, partial(self._capture, camera))
        if self._events.swap_at is not None:
            self._time.at(self._events.swap_at, self._swap)
        if self._events.lost_at is not None:
            self._time.at(self._events.lost_at, self._lose)
        if self._events.away_at is not None:
            self._time.at(self._events.away_at, self._model_away)
        if self._shared is not None and self._plan.strangers_cores:
            self._time.at(0.0, self._stranger)
        self._time.run(seconds)
        servers = self._plan.shared_cores or self._plan.triton_servers
        self._outcome.busy["triton"] = self._triton.busy_seconds / seconds / servers
        if self._shared is None:
            cores = self._plan.scorer_cores * seconds
            self._outcome.busy["scorer"] = max(one.cores.busy_seconds for one in self._workers) / cores
        return self._outcome

    def _capture(self, camera: int) -> None:
        period = 1 / self._plan.frames_per_second
        self._time.after(period * self._random.uniform(0.95, 1.05), partial(self._capture, camera))
        captured = self._time.now
        if captured >= self._warm:
            self._outcome.captured += 1
        arrive = partial(self._arrive, camera, captured)
        sent, taken = self._costs.producer_ms / 1000, self._costs.broker_ms / 1000
        self._work(
            sent, lambda: self._time.after(self._plan.linger_seconds, lambda: self._work(taken, arrive))
        )

    def _work(self, seconds: float, then: Act) -> None:
        """Let a producer or a broker work: on the shared cores, or on some that are never short."""
        if self._shared is None:
            self._time.after(seconds, then)
        else:
            self._shared.use(seconds, then)

    def _stranger(self) -> None:
        """Let a stranger have its turn, and plan the next one."""
        assert self._shared is not None
        rate = self._plan.strangers_cores / TURN_SECONDS
        self._time.after(self._random.expovariate(rate), self._stranger)
        self._shared.use_by_a_stranger(TURN_SECONDS)

    def _arrive(self, camera: int, captured: float) -> None:
        partition = camera % self._plan.partitions
        worker = self._workers[partition % self._plan.scorers]
        worker.kept.append(captured)
        if not worker.is_gone and not worker.is_committing:
            self._time.after(self._random.uniform(0, self._plan.look_seconds), partial(self._take, worker))

    def _take(self, worker: _Worker) -> None:
        """Let a scorer's loop take what has arrived, unless it commits: then it does so afterwards."""
        if worker.is_gone or worker.is_committing:
            return
        kept, worker.kept = worker.kept, []
        for captured in kept:
            worker.cores.use(self._costs.scorer_ms / 1000, partial(self._decoded, worker, captured))

    def _decoded(self, worker: _Worker, captured: float) -> None:
        worker.ready.append(captured)
        waiting = sum(len(one.ready) + len(one.kept) for one in self._workers)
        self._outcome.most_waiting = max(self._outcome.most_waiting, waiting)
        self._ask(worker)

    def _ask(self, worker: _Worker) -> None:
        """Send a request when none is under way, and a further one only when its batch is full."""
        plan = self._plan
        while not self._is_model_away and worker.ready and worker.under_way < plan.in_flight:
            if worker.under_way and len(worker.ready) < plan.max_batch:
                return
            batch = [worker.ready.popleft() for _ in range(min(plan.max_batch, len(worker.ready)))]
            worker.under_way += 1
            seconds = self._costs.request_ms(len(batch), plan.max_batch) / 1000 / plan.triton_speed
            self._triton.use(seconds, partial(self._scored, worker, batch))

    def _scored(self, worker: _Worker, batch: list[float]) -> None:
        worker.under_way -= 1
        for captured in batch:
            if captured >= self._warm:
                self._outcome.scored += 1
                self._outcome.latencies.append(self._time.now - captured)
                self._outcome.at.append(captured)
        worker.uncommitted += len(batch)
        self._plan_commit(worker)
        self._ask(worker)

    def _plan_commit(self, worker: _Worker) -> None:
        if worker.is_commit_planned or not worker.uncommitted or not self._costs.commit_ms:
            return
        worker.is_commit_planned = True
        due = worker.committed_at + self._plan.commit_seconds
        self._time.at(max(due, self._time.now), partial(self._commit, worker))

    def _commit(self, worker: _Worker) -> None:
        """Commit what is scored: the scorer works, then the broker, and then answers are waited for."""
        costs, worker.is_committing, worker.uncommitted = self._costs, True, 0
        worker.committed_at = self._time.now

        def answered() -> None:
            self._time.after(costs.answers_ms / 1000, partial(self._committed, worker))

        def sent() -> None:
            self._work(costs.broker_commit_ms / 1000, answered)

        worker.cores.use(costs.scorer_commit_ms / 1000, sent)

    def _committed(self, worker: _Worker) -> None:
        worker.is_committing = worker.is_commit_planned = False
        worker.cores.use(self._costs.beside_ms / 1000, lambda: None)
        self._plan_commit(worker)
        self._take(worker)

    def _swap(self) -> None:
        self._triton.use(self._events.swap_cpu_seconds, lambda: None)

    def _lose(self) -> None:
        """Take the first scorer away; when its partitions are taken over, what has waited comes at once."""
        gone = self._workers[0]
        gone.is_gone = True
        gone.kept += gone.ready
        gone.ready.clear()
        self._time.after(self._events.takeover_seconds, partial(self._take_over, gone))

    def _take_over(self, gone: _Worker) -> None:
        gone.is_gone = False
        if len(self._workers) > 1:
            gone.cores = self._workers[1].cores  # the next one does its work beside its own
        gone.is_committing = gone.is_commit_planned = False
        self._take(gone)

    def _model_away(self) -> None:
        self._is_model_away = True
        self._time.after(self._events.away_seconds, self._model_back)

    def _model_back(self) -> None:
        self._is_model_away = False
        for worker in self._workers:
            self._ask(worker)
