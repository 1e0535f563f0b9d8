"""Tells where a scorer's CPU goes: by stage, from each thread's own CPU clock, and the rest by thread."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import scorer.postprocess
import scorer.preprocess
from bench.line.threads import thread_clocks
from scorer.batching import Batcher
from scorer.handler import ScoringHandler
from steadyline.kafka.client.worker import KafkaWorker

# Where each stage is entered: (module or class, name, stage).
PLACES: tuple[tuple[Any, str, str], ...] = (
    (KafkaWorker, "poll", "fetch"),
    (ScoringHandler, "submit", "headers, hand out"),
    (scorer.preprocess, "inspect", "inspect, decode"),
    (scorer.preprocess, "decode", "inspect, decode"),
    (scorer.preprocess, "prepare", "prepare"),
    (Batcher, "_send", "inference client"),
    (Batcher, "_done", "inference client"),
    (scorer.postprocess, "keep_evidence", "evidence"),
    (KafkaWorker, "commit", "commit"),
)

# The CPU that a thread uses outside of any stage counts for its role, found by the beginning of its name.
ROLES: Mapping[str, str] = {
    "MainThread": "loop",
    "decode": "queues and metrics of decoding",
    "finish": "finish",
    "model-updater": "beside: model updater, lag, health",
    "lag": "beside: model updater, lag, health",
    "health": "beside: model updater, lag, health",
    "kafka-io-scorer-": "beside: model updater, lag, health",
    "kafka-io-": "fetch, client's thread",
}
WRITER = "-network-thread"  # how the name of a kafka-python producer's thread ends
COMMIT_CLIENT = "commit, client's thread"
OTHER = "gRPC's own and short-lived threads"


class Meter:
    """Counts CPU seconds by stage since ``reset``. A stage inside a stage counts for the inner one alone."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._stages: dict[int, dict[str, float]] = {}
        self._before: dict[int, float] = {}
        self._process = 0.0

    def install(self) -> None:
        """Time the stages of this process from now on."""
        for owner, name, stage in PLACES:
            setattr(owner, name, self.staged(stage, getattr(owner, name)))

    def reset(self) -> None:
        """Begin counting anew."""
        self._stages.clear()
        self._before = thread_clocks()
        self._process = time.process_time()

    def account(self) -> dict[str, float]:
        """Return CPU seconds by stage and role; their sum is the CPU time of the process."""
        total = time.process_time() - self._process
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        found: dict[str, float] = defaultdict(float)
        for ident, now in thread_clocks().items():
            stages = dict(self._stages.get(ident, {}))
            for stage, seconds in stages.items():
                found[stage] += seconds
            found[_role(names.get(ident, ""))] += now - self._before.get(ident, 0.0) - sum(stages.values())
        found[OTHER] += total - sum(found.values())
        return dict(found)

    def staged(self, stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``call`` with its CPU time counted for ``stage``."""

        @wraps(call)
        def timed(*arguments: Any, **named: Any) -> Any:
            inner: list[float] = getattr(self._local, "inner", [])
            self._local.inner = inner
            inner.append(0.0)
            began = time.thread_time()
            try:
                return call(*arguments, **named)
            finally:
                took = time.thread_time() - began
                self._add(stage, took - inner.pop())
                if inner:
                    inner[-1] += took

        return timed

    def _add(self, stage: str, seconds: float) -> None:
        own = self._stages.setdefault(threading.get_ident(), defaultdict(float))
        own[stage] += seconds


def _role(name: str) -> str:
    if name.endswith(WRITER):
        return COMMIT_CLIENT
    return next((role for prefix, role in ROLES.items() if name.startswith(prefix)), OTHER)
