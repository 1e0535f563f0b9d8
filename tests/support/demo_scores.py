"""Scores of a demonstration, each a number of seconds after noon."""

from datetime import UTC, datetime, timedelta

from steadyline.contracts.score import Peak, Score

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_score(second: float, latency_ms: float = 20.0) -> Score:
    scored = NOON + timedelta(seconds=second)
    return Score(
        frame=f"east-1/1/{int(second * 10) + 1}",
        camera="east-1",
        product="cell",
        captured_at=scored - timedelta(milliseconds=latency_ms),
        scored_at=scored,
        model_version=1,
        score=0.0,
        p_value=0.5,
        threshold=1.0,
        threshold_version=1,
        verdict="normal",
        peak=Peak(x=0, y=0, value=0),
        source_partition=0,
        source_offset=0,
    )
