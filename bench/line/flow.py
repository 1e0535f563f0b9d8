"""A line in motion: real producers replay a folder, a real scorer follows."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from bench.line.environment import CAMERAS, BenchEnvironment, BenchLine
from bench.line.pictures import write_folder
from steadyline.own_line.metrics_page import scrape
from steadyline.own_line.services import Service
from steadyline.servers.ports import free_ports

SETTLE_SECONDS = 3.0
COMMITS_METRIC = "loop_commit_duration_seconds"
FAILURES_METRIC = "scorer_inference_failures_total"


@dataclass(frozen=True, slots=True)
class RunningLine:
    """A line and its running services; ``since`` is the time at which it had settled."""

    line: BenchLine
    scorer: Service
    producers: Service
    port: int
    since: datetime

    def failed_requests(self) -> int:
        """Return how many requests to Triton have failed."""
        return round(scrape(self.port, FAILURES_METRIC))

    def transactions(self) -> tuple[float, float]:
        """Return how many transactions the scorer has committed, and how many seconds they took."""
        seconds, count = (scrape(self.port, f"{COMMITS_METRIC}_{part}") for part in ("sum", "count"))
        return count, seconds

    def drain(self) -> int:
        """End the producers and wait for the last score; return how many frames were published."""
        self.line.stop(self.producers)
        published = self.line.published()
        self.line.wait(lambda: self.line.committed() >= published)
        return published


@contextmanager
def flowing(
    environment: BenchEnvironment, name: str, pictures: Sequence[bytes], rate: float
) -> Iterator[RunningLine]:
    """Let ``rate`` frames a second flow, over all cameras together."""
    folder = write_folder(environment.home / f"{name}-pictures", pictures)
    source = f"folder:{folder}?fps={rate / len(CAMERAS):.3f}&loop=true"
    port = free_ports(1)[0]
    with BenchLine(environment, name, source) as line:
        scorer = line.start("scorer", "run", STEADYLINE_HEALTH_PORT=str(port))
        producers = line.start("producers", "run")
        line.wait(lambda: line.committed() > 0)
        time.sleep(SETTLE_SECONDS)
        yield RunningLine(line, scorer, producers, port, datetime.now(UTC))
