"""Scores of the frames of one camera, a second apart."""

from datetime import UTC, datetime, timedelta

from steadyline.contracts.score import Peak, Score

START = datetime(2026, 3, 1, tzinfo=UTC)


def a_score(sequence: int, camera: str = "c1", p_value: float = 0.7, anomalous: bool = False) -> Score:
    """Return the score of a frame whose picture is kept: by default a confident normal."""
    return Score(
        frame=f"{camera}/7/{sequence}",
        camera=camera,
        product="cell",
        captured_at=START + timedelta(seconds=sequence),
        scored_at=START + timedelta(seconds=sequence),
        model_version=3,
        score=1.0,
        p_value=p_value,
        threshold=2.0,
        threshold_version=1,
        verdict="anomalous" if anomalous else "normal",
        peak=Peak(x=0, y=0, value=0),
        source_partition=0,
        source_offset=sequence,
        picture_uri=f"file:///evidence/{camera}/{sequence}.jpg",
        picture_sha256="0" * 64,
    )
