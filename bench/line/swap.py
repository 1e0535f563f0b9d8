"""Measures what a swap costs while frames flow: the latency around it, failed requests and missing frames."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from bench.line.environment import BenchEnvironment
from bench.line.flow import flowing
from bench.line.report import Section, percentile
from steadyline.contracts.score import Score
from steadyline.demo.figures import latency_ms

LOAD = 0.25  # share of the rate that the line bears; half of it fills two cores with producers and servers
SWAPS = 3
APART_SECONDS = 7.0
WINDOW_SECONDS = 2.0


def measure(
    environment: BenchEnvironment, pictures: Sequence[bytes], line_rate: float, say: Callable[[str], None]
) -> Section:
    """Swap versions at a part of ``line_rate`` frames a second: load one, announce it, let it be taken up."""
    rate = LOAD * line_rate
    with flowing(environment, "swap", pictures, rate) as flow:
        time.sleep(APART_SECONDS / 2)
        for version in range(2, 2 + SWAPS):
            environment.serve(version, beside=version - 1)
            flow.line.announce(version - 1, version)
            say(f"version {version} announced")
            time.sleep(APART_SECONDS)
        failed = flow.failed_requests()
        published = flow.drain()
        scores = [score for score, _ in flow.line.scores()]
        since = flow.since
    moments = [_taken_up(scores, version) for version in range(2, 2 + SWAPS)]
    settled = [score for score in scores if score.captured_at >= since]
    near, far = _split(settled, moments)
    figures = {
        "swaps": SWAPS,
        "p99_ms_near": round(percentile(near, 0.99), 1),
        "p99_ms_outside": round(percentile(far, 0.99), 1),
        "failed_requests": failed,
        "frames_published": published,
        "frames_scored": len({score.frame for score in scores}),
        "scores": len(scores),
    }
    parts = ((f"within {WINDOW_SECONDS:.0f} s of a swap", near), ("outside", far))
    rows = [[name, *(f"{percentile(values, part):.1f}" for part in (0.5, 0.99))] for name, values in parts]
    note = (
        f"failed requests {failed}; frames published {published}, scored {figures['frames_scored']}, "
        f"scores {len(scores)}"
    )
    title = f"4. {SWAPS} swaps at {rate:.0f} frames a second, capture to score"
    return Section("swap", title, figures, ("", "p50 ms", "p99 ms"), rows, note)


def _taken_up(scores: Sequence[Score], version: int) -> datetime:
    """Return when the first frame was scored by ``version``; raises ValueError when none was."""
    return min(score.scored_at for score in scores if score.model_version == version)


def _split(scores: Sequence[Score], moments: Sequence[datetime]) -> tuple[list[float], list[float]]:
    near: list[float] = []
    far: list[float] = []
    for score in scores:
        distance = min(abs((score.scored_at - moment).total_seconds()) for moment in moments)
        (near if distance <= WINDOW_SECONDS else far).append(latency_ms(score))
    return near, far
