"""Scores of the frames of one camera, a second apart, and a reservoir that reads them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from steadyline.contracts.score import Peak, Score
from trainer.data.reservoir import Reservoir, ReservoirRules

START = datetime(2026, 3, 1, tzinfo=UTC)
KEY = b"k" * 32


def a_score(
    sequence: int, camera: str = "c1", p_value: float = 0.7, anomalous: bool = False, epoch: int = 7
) -> Score:
    """Return the score of a frame whose picture is kept: by default a confident normal."""
    return Score(
        frame=f"{camera}/{epoch}/{sequence}",
        camera=camera,
        product="cell",
        captured_at=START + timedelta(seconds=sequence % 86400),
        scored_at=START + timedelta(seconds=sequence % 86400),
        model_version=3,
        score=1.0,
        p_value=p_value,
        threshold=2.0,
        threshold_version=1,
        verdict="anomalous" if anomalous else "normal",
        peak=Peak(x=0, y=0, value=0),
        source_partition=0,
        source_offset=sequence,
        picture_uri=f"memory://s/evidence/line-1/t.frames.v1/id/0/{sequence}/picture.jpg",
        picture_sha256="0" * 64,
    )


def stream_rules(
    size: int = 350,
    quarantine: timedelta = timedelta(hours=1),
    key: bytes = KEY,
    cameras: frozenset[str] | None = None,
) -> ReservoirRules:
    """Return the rules of a reservoir that takes every picture for what it says it is."""
    return ReservoirRules(size, quarantine, timedelta(days=14), key, lambda score: True, cameras)


def read(reservoir: Reservoir, scores: Iterable[Score], at: float, apart: float = 1.0) -> float:
    """Let the reservoir read scores written from the second ``at`` of the broker on; return the next one."""
    for score in scores:
        reservoir.offer(score, 0, START + timedelta(seconds=at))
        at += apart
    return at
